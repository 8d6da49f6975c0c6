// Numbers, bytes and spans of time in words that are read at a glance.

const GROUPED = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
export const NOTHING = '–';

export function count(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? NOTHING : GROUPED.format(value);
}

/** Three significant digits: 12.4 k, 1.2 M. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size < 1000) return digits(value);
  const power = Math.min(5, Math.floor(Math.log10(size) / 3));
  const scaled = value / 1000 ** power;
  // 999,999 would be written as 1000 k.
  return Math.abs(scaled) >= 999.5 && power < 5 ? `${digits(scaled / 1000)} ${' kMGTP'[power + 1]}` : `${digits(scaled)} ${' kMGTP'[power]}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  let power = 0;
  let scaled = Math.abs(value);
  while (scaled >= 1023.5 && power < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    power += 1;
  }
  return `${value < 0 ? '-' : ''}${power === 0 ? Math.round(scaled) : digits(scaled)} ${BYTE_UNITS[power]}`;
}

/** A span as a person says it: 840 ms, 12.4 s, 3 m 20 s, 4 h 5 m, 12 d. */
export function duration(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || !Number.isFinite(milliseconds)) return NOTHING;
  const ms = Math.max(0, milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${digits(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return two(Math.floor(seconds / 60), 'm', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return two(Math.floor(minutes / 60), 'h', minutes % 60, 'm');
  const hours = Math.round(minutes / 60);
  return hours < 240 ? two(Math.floor(hours / 24), 'd', hours % 24, 'h') : `${Math.floor(hours / 24)} d`;
}

/** One unit only: 12 s, 3 m, 4 h, 12 d. For narrow columns. */
export function age(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || !Number.isFinite(milliseconds)) return NOTHING;
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${GROUPED.format(Math.floor(seconds / 86_400))} d`;
}

export function percent(share: number | null | undefined): string {
  return share === null || share === undefined || !Number.isFinite(share) ? NOTHING : `${Math.round(share * 100)} %`;
}

/** A value with the unit that the server names. */
export function measure(value: number | null | undefined, unit: string): string {
  switch (unit) {
    case 'bytes':
      return bytes(value);
    case 'bytes/s':
      return value === null || value === undefined ? NOTHING : `${bytes(value)}/s`;
    case 'ms':
      return duration(value);
    case 'ratio':
      return percent(value);
    case 'count':
      return compact(value);
    default:
      return value === null || value === undefined ? NOTHING : `${compact(value)} ${unit}`;
  }
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

function digits(value: number): string {
  const size = Math.abs(value);
  const rounded = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return rounded.includes('.') ? rounded.replace(/\.?0+$/, '') : rounded;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
