// What the fleet page knows: the window of rows around the screen, counts and facets, patched by the stream.
import { clock } from '../api/clock.svelte.ts';
import { type Failure, failureFrom, isAbort } from '../api/failure.ts';
import { type Changes, live } from '../api/live.svelte.ts';
import { apiUrl, getJson } from '../api/request.ts';
import type { Fleet as FleetAnswer, Row } from '../api/types.ts';
import { type Range, windowFor } from '../parts/visible-range.ts';

/** Rows fetched at once: a few screens. */
const WINDOW = 120;
/** While changes flow, the window is fetched again at most this often: order and counts may have changed. */
const AGAIN_MS_MIN = 500;
/** So many rows may be selected at once by "all that match". */
export const SELECTED_MAX = 500;

type Window = Pick<FleetAnswer, 'offset' | 'rows'>;
type Counts = Omit<FleetAnswer, 'offset' | 'rows' | 'now' | 'revision'>;

class Fleet {
  window = $state.raw<Window>({ offset: 0, rows: [] });
  counts = $state.raw<Counts | null>(null);
  failure = $state.raw<Failure | null>(null);
  /** A new search is under way; what is shown belongs to the one before. */
  searching = $state(false);
  /** Selected rows by id, as they were last seen. */
  selected = $state.raw<ReadonlyMap<string, Row>>(new Map());
  /** The row that the keyboard is on. */
  current = $state<string | null>(null);
  scrollTop = 0;

  #q = '';
  #sort = '';
  #range: Range = { first: 0, end: 40 };
  #open = false;
  #abort: AbortController | null = null;
  #answered: Promise<void> = Promise.resolve();
  #asked: { offset: number; limit: number } = { offset: 0, limit: WINDOW };
  #againTimer = 0;
  #fetchedAt = 0;

  /** The page is shown: listens to changes until the returned function is called. */
  open(): () => void {
    this.#open = true;
    const stop = live.listen({ changed: (changes) => this.#patch(changes), reset: () => this.#later(0) });
    return () => {
      this.#open = false;
      window.clearTimeout(this.#againTimer);
      this.#againTimer = 0;
      this.#abort?.abort();
      stop();
    };
  }

  search(q: string, sort: string): void {
    const changed = q !== this.#q || sort !== this.#sort;
    if (!changed && this.counts !== null) {
      this.#later(0);
      return;
    }
    this.#q = q;
    this.#sort = sort;
    this.searching = true;
    this.#range = { first: 0, end: Math.max(40, this.#range.end - this.#range.first) };
    this.#answered = this.#fetch();
  }

  /** Until the rows are those of the search that was asked for last. */
  async searched(): Promise<void> {
    while (this.searching) await this.#answered;
  }

  retry(): void {
    void this.#fetch();
  }

  /** The rows that are on the screen; what is missing around them is fetched. */
  show(range: Range): void {
    this.#range = range;
    // While one is under way nothing more is asked: scrolling must not flood the server. Its end looks here again.
    if (this.#abort) return;
    const { offset, limit } = this.#asked;
    const total = this.counts?.matched ?? 0;
    const end = Math.min(range.end, total);
    if (this.counts !== null && (range.first < offset || end > offset + limit)) void this.#fetch();
  }

  row(index: number): Row | undefined {
    return this.window.rows[index - this.window.offset];
  }

  select(rows: Row[], on: boolean): void {
    const next = new Map(this.selected);
    for (const row of rows) {
      if (on) next.set(row.id, row);
      else next.delete(row.id);
    }
    this.selected = next;
  }

  /** Selects every row that the search matches, page by page, up to `SELECTED_MAX`. */
  async selectAll(): Promise<void> {
    const found: Row[] = [];
    for (;;) {
      const page = { q: this.#q, sort: this.#sort, offset: found.length, limit: 200 };
      const { rows, matched } = await getJson<FleetAnswer>(apiUrl('fleet', page));
      found.push(...rows);
      if (rows.length === 0 || found.length >= Math.min(matched, SELECTED_MAX)) break;
    }
    this.select(found.slice(0, SELECTED_MAX), true);
  }

  clearSelection(): void {
    this.selected = new Map();
  }

  async #fetch(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#fetchedAt = Date.now();
    window.clearTimeout(this.#againTimer);
    this.#againTimer = 0;
    const asked = windowFor(this.#range, WINDOW, this.counts && !this.searching ? this.counts.matched : Number.MAX_SAFE_INTEGER);
    try {
      const answer = await getJson<FleetAnswer>(apiUrl('fleet', { q: this.#q, sort: this.#sort, ...asked }), abort.signal);
      clock.set(answer.now);
      live.stale = answer.stale;
      live.complete = answer.complete;
      const { offset, rows, now: _now, revision: _revision, ...counts } = answer;
      this.#asked = asked;
      this.window = { offset, rows };
      this.counts = counts;
      this.failure = null;
      this.searching = false;
      this.#refreshSelected(rows);
    } catch (error) {
      if (isAbort(error)) return;
      this.failure = failureFrom(error);
      this.searching = false;
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
    if (this.failure === null) this.show(this.#range);
  }

  #patch({ upserts, deletes }: Changes): void {
    const { offset, rows } = this.window;
    let changed = false;
    const next = rows.map((row) => {
      const newer = upserts.get(row.id);
      if (newer) changed = true;
      return newer ?? row;
    });
    if (changed) this.window = { offset, rows: next };
    if (deletes.size > 0 && [...deletes].some((id) => this.selected.has(id))) {
      this.selected = new Map([...this.selected].filter(([id]) => !deletes.has(id)));
    }
    this.#refreshSelected(upserts.values());
    this.#later(Math.max(60, AGAIN_MS_MIN - (Date.now() - this.#fetchedAt)));
  }

  #later(ms: number): void {
    if (!this.#open || this.#againTimer) return;
    this.#againTimer = window.setTimeout(() => {
      this.#againTimer = 0;
      // A request under way will bring what this one would have, or is followed by the next change.
      if (this.#abort) this.#later(AGAIN_MS_MIN);
      else void this.#fetch();
    }, ms);
  }

  #refreshSelected(rows: Iterable<Row>): void {
    if (this.selected.size === 0) return;
    let next: Map<string, Row> | null = null;
    for (const row of rows) {
      if (this.selected.has(row.id)) (next ??= new Map(this.selected)).set(row.id, row);
    }
    if (next) this.selected = next;
  }
}

export const fleet = new Fleet();
