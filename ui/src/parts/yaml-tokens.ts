// Colours for YAML, one line at a time: keys, comments, texts and plain words. It only looks; it never parses.

export type YamlPart = { text: string; kind: 'key' | 'punctuation' | 'comment' | 'string' | 'word' | 'plain' };

const LINE = /^(\s*(?:- +)*)((?:"[^"]*"|'[^']*'|[^\s#:'"][^:#]*?))(:)(?=\s|$)(.*)$/;

export function yamlParts(line: string): YamlPart[] {
  // Long lines are data, not structure.
  if (line.length > 2000) return [{ text: line, kind: 'plain' }];
  if (/^\s*#/.test(line)) return [{ text: line, kind: 'comment' }];
  const match = LINE.exec(line);
  if (!match) {
    const dash = /^(\s*(?:- +)*)(.*)$/.exec(line);
    return [{ text: dash?.[1] ?? '', kind: 'punctuation' as const }, ...value(dash?.[2] ?? line)].filter((part) => part.text !== '');
  }
  const [, lead = '', key = '', colon = '', rest = ''] = match;
  return [
    { text: lead, kind: 'punctuation' as const }, { text: key, kind: 'key' as const }, { text: colon, kind: 'punctuation' as const }, ...value(rest),
  ].filter((part) => part.text !== '');
}

function value(text: string): YamlPart[] {
  const comment = /^(.*?)(\s#.*)$/.exec(text);
  const body = comment && !/["']/.test(comment[1] ?? '') ? (comment[1] ?? '') : text;
  const parts: YamlPart[] = [];
  const bare = body.trim();
  if (/^["']/.test(bare)) parts.push({ text: body, kind: 'string' });
  else if (/^(true|false|null|~|-?\d[\d._]*)$/.test(bare)) parts.push({ text: body, kind: 'word' });
  else parts.push({ text: body, kind: 'plain' });
  if (body !== text) parts.push({ text: text.slice(body.length), kind: 'comment' });
  return parts;
}
