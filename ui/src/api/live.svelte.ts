// The one stream of changes: drives the connection, hands out rows once per animation frame, knows how fresh the page is.
import { clock } from './clock.svelte.ts';
import { advance, begin, type Command, type Connection, type ConnectionEvent } from './connection.ts';
import { readEvents, type ServerEvent } from './event-stream.ts';
import { Failure } from './failure.ts';
import { apiUrl, send } from './request.ts';
import type { Row, Stale, StreamMessage } from './types.ts';

export interface Changes {
  upserts: Map<string, Row>;
  deletes: Set<string>;
}
type Listener = { changed: (changes: Changes) => void; reset: () => void };

const TICK_MS = 500;
/** A browser has six connections to an origin for all of its tabs: one that is not looked at gives its own back. */
const HIDDEN_MS_MAX = 60_000;

class Live {
  connection = $state.raw<Connection>(begin(Date.now()));
  /** The server's own view is old: the API server does not answer it. */
  stale = $state.raw<Stale | null>(null);
  /** False until the server has listed everything once. */
  complete = $state(true);

  #listeners = new Set<Listener>();
  #abort: AbortController | null = null;
  #revision: string | null = null;
  #pending: Changes = { upserts: new Map(), deletes: new Set() };
  #frame = 0;
  #timer = 0;
  #hiddenTimer = 0;
  #everLive = false;

  start(): void {
    if (this.#timer) return;
    window.addEventListener('online', () => this.retryNow());
    document.addEventListener('visibilitychange', () => {
      window.clearTimeout(this.#hiddenTimer);
      if (document.hidden) this.#hiddenTimer = window.setTimeout(() => this.stop(), HIDDEN_MS_MAX);
      else if (this.#timer) this.retryNow();
      else this.#begin();
    });
    this.#begin();
  }

  #begin(): void {
    if (this.connection.phase === 'signedOut') return;
    this.connection = begin(Date.now());
    this.#timer = window.setInterval(() => this.#on({ type: 'tick', at: Date.now(), jitter: Math.random() }), TICK_MS);
    void this.#connect();
  }

  stop(): void {
    window.clearInterval(this.#timer);
    this.#timer = 0;
    this.#abort?.abort();
    this.#abort = null;
  }

  retryNow(): void {
    this.#on({ type: 'retryNow', at: Date.now() });
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #on(event: ConnectionEvent): void {
    const [next, command] = advance(this.connection, event);
    if (next !== this.connection) this.connection = next;
    this.#do(command);
  }

  #do(command: Command): void {
    if (command === 'none') return;
    this.#abort?.abort();
    this.#abort = null;
    if (command === 'connect') void this.#connect();
  }

  async #connect(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    let unauthorized = false;
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (this.#revision !== null) headers['Last-Event-ID'] = this.#revision;
      const response = await send(apiUrl('stream'), { signal: abort.signal, headers, cache: 'no-store' });
      this.#on({ type: 'opened', at: Date.now() });
      // What was missed while away is sent again only by a server that remembers; the windows are fetched anew either way.
      if (this.#everLive) this.#reset();
      this.#everLive = true;
      await readEvents(response, (event) => this.#read(event));
    } catch (error) {
      unauthorized = error instanceof Failure && error.kind === 'unauthorized';
    }
    if (this.#abort === abort) this.#on({ type: 'ended', at: Date.now(), unauthorized, jitter: Math.random() });
  }

  #read(event: ServerEvent): void {
    this.#on({ type: 'heard', at: Date.now() });
    if (event.id !== null) this.#revision = event.id;
    let message: StreamMessage;
    try {
      message = { event: event.event, data: JSON.parse(event.data) } as StreamMessage;
    } catch {
      return;
    }
    switch (message.event) {
      case 'hello':
        this.#revision = String(message.data.revision);
        clock.set(message.data.now);
        this.complete = message.data.complete;
        this.stale = message.data.stale;
        break;
      case 'rows':
        this.#revision = String(message.data.revision);
        clock.set(message.data.now);
        this.#collect(message.data.upserts, message.data.deletes);
        break;
      case 'beat':
        clock.set(message.data.now);
        break;
      case 'stale':
        this.stale = message.data;
        break;
      case 'fresh':
        this.stale = null;
        this.#reset();
        break;
      case 'reset':
        this.complete = true;
        this.#reset();
        break;
    }
  }

  #collect(upserts: Row[], deletes: string[]): void {
    for (const row of upserts) {
      this.#pending.upserts.set(row.id, row);
      this.#pending.deletes.delete(row.id);
    }
    for (const id of deletes) {
      this.#pending.deletes.add(id);
      this.#pending.upserts.delete(id);
    }
    // A hidden page gets no frames: a timer empties the basket there.
    if (!this.#frame) this.#frame = document.hidden ? window.setTimeout(() => this.#flush(), 250) : requestAnimationFrame(() => this.#flush());
  }

  #flush(): void {
    this.#frame = 0;
    const changes = this.#pending;
    this.#pending = { upserts: new Map(), deletes: new Set() };
    for (const listener of this.#listeners) listener.changed(changes);
  }

  #reset(): void {
    for (const listener of this.#listeners) listener.reset();
  }
}

export const live = new Live();
