// Small pure parts: which lines are seen, YAML's colours, safe links, names, failures, many requests in turn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inTurn, type Outcome } from '../../src/actions/in-turn.ts';
import { failureOf } from '../../src/api/failure.ts';
import { displayName } from '../../src/fleet/display-name.ts';
import type { Row } from '../../src/api/types.ts';
import { membersOf, membersQuery } from '../../src/job/members.ts';
import { safeLink } from '../../src/parts/safe-link.ts';
import { visibleRange, windowFor } from '../../src/parts/visible-range.ts';
import { yamlParts } from '../../src/parts/yaml-tokens.ts';

test('the lines on the screen, and no more than there are', () => {
  assert.deepEqual(visibleRange(0, 360, 36, 10_000, 2), { first: 0, end: 12 });
  assert.deepEqual(visibleRange(3600, 360, 36, 10_000, 2), { first: 98, end: 112 });
  assert.deepEqual(visibleRange(3600, 360, 36, 5, 2), { first: 5, end: 5 });
  assert.deepEqual(visibleRange(0, 0, 36, 0, 2), { first: 0, end: 0 });
});

test('the window always holds what is on the screen', () => {
  for (let first = 0; first < 1000; first += 7) {
    const range = { first, end: Math.min(1000, first + 40) };
    const { offset, limit } = windowFor(range, 120, 1000);
    assert.ok(offset <= range.first && offset + limit >= range.end && offset >= 0, JSON.stringify({ range, offset, limit }));
  }
  // A screen higher than the window.
  const { offset, limit } = windowFor({ first: 500, end: 800 }, 120, 1000);
  assert.ok(offset <= 500 && offset + limit >= 800);
});

test('YAML keeps every character', () => {
  const lines = ['key: value', '  - a: "b: c"  # d', '# comment', '- x', '---', 'a: |', '', "  'k': true", 'url: s3://a/b', 'n: -1.5', 'broken "', 'a:b', `${'z'.repeat(5000)}: 1`];
  for (const line of lines) assert.equal(yamlParts(line).map((part) => part.text).join(''), line);
  assert.deepEqual(yamlParts('key: 1').map((part) => part.kind), ['key', 'punctuation', 'word']);
  assert.equal(yamlParts('url: s3://a/b')[0]?.text, 'url');
});

test('only web addresses are links', () => {
  assert.equal(safeLink('https://grafana.example/d?x=1'), 'https://grafana.example/d?x=1');
  for (const bad of ['javascript:alert(1)', ' JaVaScript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', '/relative', '', null]) {
    assert.equal(safeLink(bad), null, String(bad));
  }
});

test('display names by pattern', () => {
  const row = { name: 'fraud', labels: { team: 'core', 'app.kubernetes.io/name': 'x' } };
  const table: [string, string][] = [
    ['$jobName', 'fraud'], ['$metadata.team/$jobName', 'core/fraud'], ['$jobName ($metadata.nothing) x', 'fraud  x'],
    ['$metadata.app.kubernetes.io/name', 'x'], ['', 'fraud'], ['$metadata.nothing', 'fraud'],
  ];
  for (const [pattern, expected] of table) assert.equal(displayName(row, pattern), expected, pattern);
  assert.equal(displayName({ name: 'n', labels: null }, '$jobName'), 'n');
});

test('errors of the server, and of whatever answers in its place', () => {
  const failure = failureOf(422, JSON.stringify({ error: { kind: 'invalid', message: 'no', hint: 'do', field: 'spec.x' } }));
  assert.deepEqual([failure.kind, failure.message, failure.hint, failure.field], ['invalid', 'no', 'do', 'spec.x']);
  assert.equal(failureOf(401, '<html>login</html>').kind, 'unauthorized');
  assert.equal(failureOf(502, '').kind, 'unreachable');
  assert.equal(failureOf(500, '{"error":null}').kind, 'internal');
  assert.equal(failureOf(403, '{"error":{"kind":"made-up"}}').kind, 'forbidden');
});

test('many requests: a few at a time, each with its result, and a stop is heard', async () => {
  let running = 0;
  let most = 0;
  const seen = new Map<number, Outcome<number>>();
  await inTurn(
    [1, 2, 3, 4, 5, 6], 2,
    async (n) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      if (n === 3) throw new Error('three');
      return n * 10;
    },
    (index, outcome) => seen.set(index, outcome),
  );
  assert.equal(most, 2);
  assert.deepEqual([...seen.values()].map((outcome) => outcome.state), ['done', 'done', 'failed', 'done', 'done', 'done']);
  const begun: number[] = [];
  await inTurn([1, 2, 3], 1, async (n) => begun.push(n), () => {}, () => begun.length > 0);
  assert.deepEqual(begun, [1]);
});

test('the members of a session cluster and of a blue/green pair are searched for narrowly', () => {
  assert.equal(membersQuery({ namespace: 'payments', name: 'interactive', type: 'session' }), 'ns:payments type:sessionJob');
  assert.equal(membersQuery({ namespace: 'payments', name: 'refund', type: 'blueGreen' }), 'ns:payments name:refund');
  const rows = [{ parent: 'a' }, { parent: null }, { parent: 'b' }] as unknown as Row[];
  assert.deepEqual(membersOf(rows, 'a'), [{ parent: 'a' }]);
});
