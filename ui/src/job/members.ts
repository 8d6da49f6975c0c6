// Which resources belong to another one, as a search that the server understands.
import type { Row } from '../api/types.ts';
import { withValues } from '../fleet/query.ts';

export const MEMBERS_MAX = 200;

/** Narrow enough for one window; the parent's id decides in the end. */
export function membersQuery(row: Pick<Row, 'namespace' | 'name' | 'type'>): string {
  const inNamespace = withValues('', 'ns', [row.namespace]);
  // The two sides of a blue/green pair carry its name in theirs.
  return row.type === 'session' ? withValues(inNamespace, 'type', ['sessionJob']) : withValues(inNamespace, 'name', [row.name]);
}

export function membersOf(rows: readonly Row[], id: string): Row[] {
  return rows.filter((row) => row.parent === id);
}
