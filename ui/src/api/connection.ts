// The life of the stream's connection as a state machine without clock or network: events in, next state and what to do out.
//
//   connecting ──opened──► live ──ended, or silent──► waiting ──its time has come──► connecting
//        └──────────────── ended ───────────────────────▲          401 anywhere ──► signedOut

/** A beat comes every 5 s; after this long without anything the connection is taken for dead. */
export const SILENCE_MS_MAX = 12_000;
/** An attempt that got no answer for this long is given up. */
export const CONNECT_MS_MAX = 8_000;
const BACK_OFF_MS_MIN = 500;
const BACK_OFF_MS_MAX = 15_000;

export type Connection =
  | { phase: 'connecting'; attempt: number; since: number; lostSince: number | null }
  | { phase: 'live'; heardAt: number }
  | { phase: 'waiting'; attempt: number; retryAt: number; lostSince: number }
  | { phase: 'signedOut' };

export type ConnectionEvent =
  | { type: 'opened'; at: number }
  | { type: 'heard'; at: number }
  | { type: 'ended'; at: number; unauthorized: boolean; jitter: number }
  | { type: 'tick'; at: number; jitter: number }
  | { type: 'retryNow'; at: number };

export type Command = 'none' | 'connect' | 'drop';

export function begin(at: number): Connection {
  return { phase: 'connecting', attempt: 0, since: at, lostSince: null };
}

/** `jitter` is between 0 and 1: many pages must not come back in the same instant. */
export function backOffMs(attempt: number, jitter: number): number {
  const whole = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN * 2 ** Math.min(attempt, 10));
  return Math.round(whole * (0.5 + 0.5 * jitter));
}

export function advance(state: Connection, event: ConnectionEvent): [Connection, Command] {
  if (state.phase === 'signedOut') return [state, 'none'];
  switch (event.type) {
    case 'opened':
      return state.phase === 'connecting' ? [{ phase: 'live', heardAt: event.at }, 'none'] : [state, 'none'];
    case 'heard':
      return state.phase === 'live' ? [{ phase: 'live', heardAt: event.at }, 'none'] : [state, 'none'];
    case 'ended':
      if (event.unauthorized) return [{ phase: 'signedOut' }, 'drop'];
      return state.phase === 'waiting' ? [state, 'none'] : [wait(state, event.at, event.jitter), 'none'];
    case 'tick':
      return tick(state, event.at, event.jitter);
    case 'retryNow':
      return state.phase === 'waiting' ? [connect(state, event.at), 'connect'] : [state, 'none'];
  }
}

function tick(state: Connection, at: number, jitter: number): [Connection, Command] {
  switch (state.phase) {
    case 'live':
      return at - state.heardAt > SILENCE_MS_MAX ? [wait(state, at, jitter), 'drop'] : [state, 'none'];
    case 'connecting':
      return at - state.since > CONNECT_MS_MAX ? [wait(state, at, jitter), 'drop'] : [state, 'none'];
    case 'waiting':
      return at >= state.retryAt ? [connect(state, at), 'connect'] : [state, 'none'];
    case 'signedOut':
      return [state, 'none'];
  }
}

function connect(state: Extract<Connection, { phase: 'waiting' }>, at: number): Connection {
  return { phase: 'connecting', attempt: state.attempt, since: at, lostSince: state.lostSince };
}

function wait(state: Connection, at: number, jitter: number): Connection {
  const attempt = state.phase === 'connecting' ? state.attempt : 0;
  const lostSince = state.phase === 'connecting' ? (state.lostSince ?? state.since) : state.phase === 'live' ? state.heardAt : at;
  return { phase: 'waiting', attempt: attempt + 1, retryAt: at + backOffMs(attempt, jitter), lostSince };
}
