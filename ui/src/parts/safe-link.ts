// Links that come from configuration and labels: only plain web addresses are ever followed.

/** The address when it is http or https and whole, else null: `javascript:` and its like are no links. */
export function safeLink(url: string | null | undefined): string | null {
  if (!url) return null;
  try {
    const parsed = new URL(url);
    return parsed.protocol === 'https:' || parsed.protocol === 'http:' ? parsed.href : null;
  } catch {
    return null;
  }
}
