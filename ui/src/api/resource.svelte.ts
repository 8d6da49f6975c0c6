// One thing fetched from the server: what is known of it, what went wrong last, and fetching it again while it is looked at.
import { type Failure, failureFrom, isAbort } from './failure.ts';
import { getJson } from './request.ts';

export class Resource<T> {
  data = $state.raw<T | null>(null);
  failure = $state.raw<Failure | null>(null);
  loading = $state(false);

  #url: string;
  #abort: AbortController | null = null;
  #timer = 0;
  #again = false;
  #closed = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** Fetches now; a call while one is under way makes one more afterwards, never two beside each other. */
  async load(): Promise<void> {
    if (this.#abort) {
      this.#again = true;
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    try {
      const data = await getJson<T>(this.#url, abort.signal);
      this.data = data;
      this.failure = null;
    } catch (error) {
      if (!isAbort(error)) this.failure = failureFrom(error);
    } finally {
      this.#abort = null;
      this.loading = false;
    }
    if (this.#again && !this.#closed) {
      this.#again = false;
      void this.load();
    }
  }

  /** Loads now and every `everyMs` while the page is seen; returns what ends it. */
  poll(everyMs: number): () => void {
    void this.load();
    this.#timer = window.setInterval(() => {
      if (!document.hidden) void this.load();
    }, everyMs);
    return () => this.close();
  }

  close(): void {
    this.#closed = true;
    window.clearInterval(this.#timer);
    this.#abort?.abort();
  }
}
