// Numbers, bytes and times in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, bytes, compact, count, duration, measure, percent, plural } from '../../src/parts/number-format.ts';
import { marks, timeMarks } from '../../src/parts/scale.ts';
import { ago, dayOf, fullTime, shortTime } from '../../src/parts/time-format.ts';

function check<A>(write: (value: A) => string, table: [A, string][]): void {
  for (const [value, expected] of table) assert.equal(write(value), expected, String(value));
}

test('counts and compact numbers', () => {
  check(count, [[0, '0'], [1167, '1,167'], [null, '–'], [Number.NaN, '–']]);
  check(compact, [[0, '0'], [999, '999'], [1000, '1 k'], [12_440, '12.4 k'], [999_999, '1 M'], [1.234e9, '1.23 G'], [0.25, '0.25'], [-1500, '-1.5 k'], [null, '–']]);
  assert.equal(plural(1, 'row'), '1 row');
  assert.equal(plural(2000, 'row'), '2,000 rows');
});

test('bytes', () => {
  check(bytes, [[0, '0 B'], [1023, '1023 B'], [1024, '1 KiB'], [1536, '1.5 KiB'], [38.2 * 2 ** 30, '38.2 GiB'], [2 ** 60, '1024 PiB'], [null, '–']]);
});

test('durations', () => {
  check(duration, [
    [0, '0 ms'], [840, '840 ms'], [1000, '1 s'], [12_400, '12.4 s'], [59_999, '1 m'], [200_000, '3 m 20 s'], [3_600_000, '1 h'],
    [14_700_000, '4 h 5 m'], [90_000_000, '1 d 1 h'], [12 * 86_400_000, '12 d'], [-5, '0 ms'], [null, '–'],
  ]);
  check(age, [[59_999, '59 s'], [60_000, '1 m'], [86_399_999, '23 h'], [86_400_000, '1 d'], [-1, '0 s']]);
});

test('measures have their unit', () => {
  assert.equal(measure(41_200, 'records/s'), '41.2 k records/s');
  assert.equal(measure(0.61, 'ratio'), '61 %');
  assert.equal(measure(2048, 'bytes/s'), '2 KiB/s');
  assert.equal(measure(null, 'ms'), '–');
  assert.equal(percent(null), '–');
});

const NOW = Date.UTC(2026, 10, 22, 12, 3, 41);

test('times are in the zone that was chosen', () => {
  assert.match(fullTime(NOW, 'UTC'), /^2026-11-22 12:03:41 UTC$/);
  assert.match(fullTime(NOW, 'Europe/Berlin'), /^2026-11-22 13:03:41 /);
  assert.equal(shortTime(NOW - 1000, NOW, 'UTC'), '12:03:40');
  assert.equal(shortTime(Date.UTC(2026, 10, 14, 9, 12), NOW, 'UTC'), '14 Nov 09:12');
  assert.equal(shortTime(Date.UTC(2024, 10, 14, 9, 12), NOW, 'UTC'), '14 Nov 2024');
  assert.notEqual(dayOf(Date.UTC(2026, 10, 22, 23, 30), 'UTC'), dayOf(Date.UTC(2026, 10, 22, 23, 30), 'Europe/Berlin'));
});

test('relative times', () => {
  assert.equal(ago(NOW - 200, NOW), 'now');
  assert.equal(ago(NOW - 65_000, NOW), '1 m ago');
  assert.equal(ago(NOW + 65_000, NOW), 'in 1 m');
});

test('a time that is none does not break the page', () => {
  assert.equal(fullTime(1e300), 'not a time');
  assert.equal(shortTime(Number.NaN, NOW), 'not a time');
});

test('axes have round marks that reach the top', () => {
  for (const unit of ['number', 'bytes', 'ms'] as const) {
    for (const max of [0, 1, 7, 999, 12_345, 3.9e10, 8e6]) {
      const list = marks(max, 4, unit);
      assert.ok((list.at(-1) ?? 0) >= max && list.length <= 8 && list[0] === 0, `${unit} ${max}: ${list}`);
    }
  }
  assert.deepEqual(marks(12_000, 4, 'ms'), [0, 5000, 10_000, 15_000]);
  assert.deepEqual(timeMarks(NOW, NOW + 3_600_000, 4).length, 4);
});
