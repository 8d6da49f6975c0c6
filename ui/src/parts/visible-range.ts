// Which lines of a long list are on the screen.

export interface Range {
  first: number;
  /** One past the last line. */
  end: number;
}

export function visibleRange(scrollTop: number, height: number, lineHeight: number, lines: number, overscan: number): Range {
  const first = Math.max(0, Math.floor(scrollTop / lineHeight) - overscan);
  const end = Math.min(lines, Math.ceil((scrollTop + height) / lineHeight) + overscan);
  return { first: Math.min(first, end), end };
}

/** The part of a list to fetch so that a range is there with room on both sides, aligned so that small moves ask for the same. */
export function windowFor(range: Range, size: number, lines: number): { offset: number; limit: number } {
  const room = Math.max(0, size - (range.end - range.first));
  const step = Math.max(1, Math.floor(room / 2));
  const wanted = Math.max(0, range.first - step);
  const offset = Math.min(Math.floor(wanted / step) * step, Math.max(0, lines - size));
  return { offset, limit: Math.max(size, range.end - offset) };
}
