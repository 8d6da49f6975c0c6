// How fresh the page is, in one word: of the connection to the server, and of the server's own view.
import type { Connection } from '../api/connection.ts';
import type { Stale } from '../api/types.ts';

export type Freshness =
  | { word: 'live' }
  | { word: 'connecting' }
  | { word: 'reconnecting'; since: number; retryAt: number | null }
  | { word: 'stale'; since: number; message: string };

export function freshnessOf(connection: Connection, stale: Stale | null): Freshness {
  switch (connection.phase) {
    case 'live':
      return stale ? { word: 'stale', since: stale.since, message: stale.message } : { word: 'live' };
    case 'waiting':
      return { word: 'reconnecting', since: connection.lostSince, retryAt: connection.retryAt };
    case 'connecting':
      return connection.lostSince === null
        ? { word: 'connecting' }
        : { word: 'reconnecting', since: connection.lostSince, retryAt: null };
    case 'signedOut':
      return { word: 'connecting' };
  }
}
