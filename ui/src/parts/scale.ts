// Round marks for axes.

/** Up to about `wanted` round values from 0 to at least `max`; bytes in powers of 1024, milliseconds in clock units. */
export function marks(max: number, wanted: number, unit: 'number' | 'bytes' | 'ms'): number[] {
  if (!Number.isFinite(max) || max <= 0) return [0, 1];
  const step = roundStep(max / wanted, unit);
  const list: number[] = [];
  for (let value = 0; value < max + step * 0.999; value += step) list.push(value);
  return list;
}

const MS_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
  1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
];

function roundStep(raw: number, unit: 'number' | 'bytes' | 'ms'): number {
  if (unit === 'ms') {
    const found = MS_STEPS.find((step) => step >= raw);
    if (found !== undefined) return found;
  }
  const base = unit === 'bytes' ? 1024 ** Math.max(0, Math.floor(Math.log2(raw) / 10)) : 1;
  const scaled = raw / base;
  const power = 10 ** Math.floor(Math.log10(scaled));
  const head = scaled / power;
  return (head <= 1 ? 1 : head <= 2 ? 2 : head <= 5 ? 5 : 10) * power * base;
}

/** Round points in time between two others. */
export function timeMarks(from: number, to: number, wanted: number): number[] {
  const span = to - from;
  if (!(span > 0)) return [from];
  const step = MS_STEPS.find((one) => one >= 1000 && one >= span / wanted) ?? 86_400_000 * Math.ceil(span / wanted / 86_400_000);
  const list: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) list.push(at);
  return list;
}
