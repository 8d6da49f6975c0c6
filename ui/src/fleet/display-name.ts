// The name that is shown for a resource, by the pattern of the server's configuration.
import type { Row } from '../api/types.ts';

/** `$jobName` and `$metadata.LABEL` are filled in; a label that is not there goes, up to the next space, with the character before it. */
export function displayName(row: Pick<Row, 'name' | 'labels'>, pattern: string): string {
  let text = pattern;
  // A label's name may be the beginning of another's.
  const labels = Object.entries(row.labels ?? {}).sort(([a], [b]) => b.length - a.length);
  for (const [label, value] of labels) text = text.replaceAll(`$metadata.${label}`, () => value);
  text = text.replace(/.?\$metadata\.\S+/g, '').replaceAll('$jobName', () => row.name).trim();
  return text === '' ? row.name : text;
}
