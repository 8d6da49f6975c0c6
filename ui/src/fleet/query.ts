// The search text as the person sees it: terms added and removed as text. What they mean is the server's business.
import type { FacetName } from '../api/types.ts';

export const FACET_PREFIX: Record<FacetName, string> = {
  health: 'health', type: 'type', namespace: 'ns', flinkVersion: 'version', jobState: 'state',
};

/** Splits at spaces outside of double quotes; the pieces keep their quotes. */
export function split(query: string): string[] {
  const terms: string[] = [];
  let term = '';
  let quoted = false;
  for (const char of query) {
    if (char === '"') quoted = !quoted;
    if (!quoted && /\s/.test(char)) {
      if (term !== '') terms.push(term);
      term = '';
    } else term += char;
  }
  if (term !== '') terms.push(term);
  return terms;
}

/** Takes out the term that a chip shows: by its place when the server's terms are one to one, else by its text. */
export function withoutTerm(query: string, text: string, place: number, termCount: number): string {
  const terms = split(query);
  const at = terms.length === termCount ? place : terms.findIndex((term) => plain(term) === plain(text));
  return terms.filter((_, index) => index !== at).join(' ');
}

/** The values of a prefix that are asked for, as in `health:failing,degraded`. */
export function valuesOf(query: string, prefix: string): string[] {
  return split(query).flatMap((term) => (hasPrefix(term, prefix) ? splitValues(term.slice(prefix.length + 1)) : []));
}

/** Adds a value to its prefix, or takes it away: the second value of one facet joins the first. */
export function toggleValue(query: string, prefix: string, value: string): string {
  const values = valuesOf(query, prefix);
  const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  return withValues(query, prefix, next);
}

/** Sets the values of a prefix; none takes the term away. The first such term keeps its place. */
export function withValues(query: string, prefix: string, values: string[]): string {
  const term = values.length > 0 ? `${prefix}:${values.map(quotedValue).join(',')}` : null;
  const terms: string[] = [];
  let placed = false;
  for (const old of split(query)) {
    if (!hasPrefix(old, prefix)) terms.push(old);
    else if (term !== null && !placed) {
      terms.push(term);
      placed = true;
    }
  }
  if (term !== null && !placed) terms.push(term);
  return terms.join(' ');
}

function hasPrefix(term: string, prefix: string): boolean {
  return term.toLowerCase().startsWith(`${prefix}:`);
}

function splitValues(text: string): string[] {
  const values: string[] = [];
  let value = '';
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) {
      if (value !== '') values.push(value);
      value = '';
    } else value += char;
  }
  if (value !== '') values.push(value);
  return values;
}

function quotedValue(value: string): string {
  return /[\s,"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value;
}

function plain(term: string): string {
  return term.replaceAll('"', '').trim().toLowerCase();
}
