// Server-sent events, cut anywhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventParser, type ServerEvent } from '../../src/api/event-stream.ts';

const TEXT = ': comment\nevent: hello\nid: 7\ndata: {"a":1}\n\nevent: rows\r\ndata: one\r\ndata:two\r\n\r\ndata\n\nevent: empty\n\ndata: last\n\n';
const EXPECTED: ServerEvent[] = [
  { event: 'hello', data: '{"a":1}', id: '7' },
  { event: 'rows', data: 'one\ntwo', id: '7' },
  { event: 'message', data: '', id: '7' },
  { event: 'message', data: 'last', id: '7' },
];

test('reads the events', () => {
  assert.deepEqual(new EventParser().push(TEXT), EXPECTED);
});

test('it does not matter where the pieces end', () => {
  for (let size = 1; size < 12; size += 1) {
    const parser = new EventParser();
    const events: ServerEvent[] = [];
    for (let at = 0; at < TEXT.length; at += size) events.push(...parser.push(TEXT.slice(at, at + size)));
    assert.deepEqual(events, EXPECTED, `pieces of ${size}`);
  }
});

test('an unfinished event is not given out', () => {
  assert.deepEqual(new EventParser().push('data: half\n'), []);
});
