// The lines of a log that the page holds: the newest, up to a limit of lines and of characters.

export const LINES_MAX = 20_000;
export const CHARS_MAX = 16_000_000;
/** Of a longer line only this much is held; the whole of it is in the download. */
export const LINE_CHARS_MAX = 8_000;

export interface LogLine {
  /** Counts up from the first line held, and never changes for a line. */
  n: number;
  text: string;
  /** Characters that were cut off. */
  cut: number;
}

export class LogBuffer {
  lines: LogLine[] = [];
  /** Lines that were let go at the front. */
  dropped = 0;
  #chars = 0;
  #next = 0;
  #open = '';
  #openCut = 0;

  /** Takes text as it comes; its last line may go on in the next piece. */
  push(text: string): void {
    const parts = text.split(/\r\n|\n/);
    parts.forEach((part, index) => {
      const room = LINE_CHARS_MAX - this.#open.length;
      this.#open += part.slice(0, Math.max(0, room));
      this.#openCut += Math.max(0, part.length - Math.max(0, room));
      if (index < parts.length - 1) this.#close();
    });
  }

  /** Ends the line that is open, as at the end of a file without a last newline. */
  flush(): void {
    if (this.#open !== '' || this.#openCut > 0) this.#close();
  }

  #close(): void {
    this.lines.push({ n: this.#next++, text: this.#open, cut: this.#openCut });
    this.#chars += this.#open.length;
    this.#open = '';
    this.#openCut = 0;
    let drop = 0;
    while (this.lines.length - drop > LINES_MAX || (this.#chars > CHARS_MAX && this.lines.length - drop > 1)) {
      this.#chars -= this.lines[drop]?.text.length ?? 0;
      drop += 1;
    }
    if (drop > 0) {
      this.lines.splice(0, drop);
      this.dropped += drop;
    }
  }
}

/** What a log level looks like at the head of a line. */
export function levelOf(text: string): 'error' | 'warning' | null {
  const head = text.slice(0, 160);
  if (/\b(ERROR|FATAL|SEVERE)\b/.test(head) || /^(Caused by|Exception in)/.test(head)) return 'error';
  return /\bWARN(ING)?\b/.test(head) ? 'warning' : null;
}
