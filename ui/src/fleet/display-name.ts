// The name that is shown for a resource, by the pattern of the server's configuration.
import type { Row } from '../api/types.ts';

/** `$jobName` and `$metadata.LABEL` are filled in; a label that is not there goes with the character before it. */
export function displayName(row: Pick<Row, 'name' | 'labels'>, pattern: string): string {
  const text = pattern.replace(/(^|.)\$(jobName|metadata\.\S+)/g, (_, before: string, what: string) => {
    if (what === 'jobName') return before + row.name;
    const value = row.labels?.[what.slice('metadata.'.length)];
    return value === undefined ? '' : before + value;
  });
  return text.trim() === '' ? row.name : text.trim();
}
