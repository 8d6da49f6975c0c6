// The stream's connection: what happens, one event after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  advance, backOffMs, begin, type Command, type Connection, type ConnectionEvent, CONNECT_MS_MAX, SILENCE_MS_MAX,
} from '../../src/api/connection.ts';

function play(events: ConnectionEvent[], state: Connection = begin(0)): { state: Connection; commands: Command[] } {
  const commands: Command[] = [];
  for (const event of events) {
    const [next, command] = advance(state, event);
    state = next;
    if (command !== 'none') commands.push(command);
  }
  return { state, commands };
}

const opened = (at: number): ConnectionEvent => ({ type: 'opened', at });
const heard = (at: number): ConnectionEvent => ({ type: 'heard', at });
const tick = (at: number): ConnectionEvent => ({ type: 'tick', at, jitter: 1 });
const ended = (at: number, unauthorized = false): ConnectionEvent => ({ type: 'ended', at, unauthorized, jitter: 1 });

test('opens and stays live while beats come', () => {
  const { state, commands } = play([opened(10), heard(5000), tick(9000), heard(10_000), tick(20_000)]);
  assert.deepEqual(state, { phase: 'live', heardAt: 10_000 });
  assert.deepEqual(commands, []);
});

test('silence is death: the connection is dropped and tried again', () => {
  const silent = 1000 + SILENCE_MS_MAX + 1;
  const { state, commands } = play([opened(1000), tick(1000 + SILENCE_MS_MAX), tick(silent), tick(silent + 501)]);
  assert.deepEqual(commands, ['drop', 'connect']);
  assert.equal(state.phase, 'connecting');
  assert.equal(state.phase === 'connecting' && state.lostSince, 1000);
});

test('each failure waits longer, up to a limit, and success forgets them', () => {
  let state = begin(0);
  let at = 0;
  const waits: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    state = advance(state, ended(at))[0];
    assert.equal(state.phase, 'waiting');
    if (state.phase !== 'waiting') return;
    waits.push(state.retryAt - at);
    at = state.retryAt;
    const [next, command] = advance(state, tick(at));
    assert.equal(command, 'connect');
    state = next;
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  const { state: again } = play([opened(at), ended(at + 10)], state);
  assert.equal(again.phase === 'waiting' && again.retryAt - (at + 10), 500);
});

test('what is lost is lost since the last word, however many attempts fail', () => {
  const { state } = play([opened(0), heard(7000), ended(8000), tick(9000), ended(9100), tick(12_000), ended(12_100)]);
  assert.equal(state.phase === 'waiting' && state.lostSince, 7000);
});

test('an attempt without an answer is given up', () => {
  const { state, commands } = play([tick(CONNECT_MS_MAX), tick(CONNECT_MS_MAX + 1)]);
  assert.deepEqual(commands, ['drop']);
  assert.equal(state.phase, 'waiting');
});

test('not signed in: nothing is tried any more', () => {
  const { state, commands } = play([opened(0), ended(10, true), tick(99_999), { type: 'retryNow', at: 1 }, opened(5)]);
  assert.deepEqual(state, { phase: 'signedOut' });
  assert.deepEqual(commands, ['drop']);
});

test('the person may ask for it at once', () => {
  const { commands } = play([ended(0), { type: 'retryNow', at: 1 }]);
  assert.deepEqual(commands, ['connect']);
  assert.deepEqual(play([opened(0), { type: 'retryNow', at: 1 }]).commands, []);
});

test('a late word of a dropped connection changes nothing', () => {
  const before = play([opened(0), ended(10)]).state;
  assert.deepEqual(play([heard(11), opened(12), ended(13)], before).state, before);
});

test('pages do not come back in the same instant', () => {
  assert.equal(backOffMs(3, 0), 2000);
  assert.equal(backOffMs(3, 1), 4000);
});
