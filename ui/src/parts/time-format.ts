// Points in time: absolute in the chosen zone, and relative to the server's clock.
import { age } from './number-format.ts';

const formats = new Map<string, Intl.DateTimeFormat>();

/** The locale whose dates are written 2026-11-22 12:03:41. */
const ISO_LIKE = 'sv-SE';
const FULL: Intl.DateTimeFormatOptions = {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
};

function format(timeZone: string | undefined, name: string, options: Intl.DateTimeFormatOptions, locale = 'en-GB'): Intl.DateTimeFormat {
  const key = `${timeZone ?? ''}/${name}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(locale, { ...options, timeZone, hour12: false });
    formats.set(key, found);
  }
  return found;
}

/** 2026-11-14 09:12:41 CET, for titles and copying. */
export function fullTime(at: number, timeZone?: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return 'not a time';
  return format(timeZone, 'full', FULL, ISO_LIKE).format(date);
}

/** 12:03:41 today, 14 Nov 09:12 this year, 14 Nov 2024 before. */
export function shortTime(at: number, now: number, timeZone?: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return 'not a time';
  if (dayOf(at, timeZone) === dayOf(now, timeZone)) return clockTime(at, timeZone);
  const formatter = format(timeZone, 'day', { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
  const parts = partsOf(formatter, date);
  const { year } = partsOf(formatter, new Date(now));
  return parts.year === year ? `${parts.day} ${parts.month} ${parts.hour}:${parts.minute}` : `${parts.day} ${parts.month} ${parts.year}`;
}

export function clockTime(at: number, timeZone?: string): string {
  return format(timeZone, 'clock', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(new Date(at));
}

export function minuteTime(at: number, timeZone?: string): string {
  return format(timeZone, 'minute', { hour: '2-digit', minute: '2-digit' }).format(new Date(at));
}

/** A day's name for headings: Saturday 14 November 2026. */
export function dayOf(at: number, timeZone?: string): string {
  return format(timeZone, 'date', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }).format(new Date(at));
}

export function ago(at: number, now: number): string {
  const past = now - at;
  return past < -1500 ? `in ${age(-past)}` : past < 1000 ? 'now' : `${age(past)} ago`;
}

function partsOf(formatter: Intl.DateTimeFormat, date: Date): Record<string, string> {
  return Object.fromEntries(formatter.formatToParts(date).map((part) => [part.type, part.value]));
}
