// The page's state in its address: what is written is read back the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FleetAddress, readAddress, writeAddress } from '../../src/fleet/address.ts';
import { DEFAULT_KEYS, columnsOf, fitting, leastWidth, parseKeys } from '../../src/fleet/columns.ts';
import { pathOfJob, routeOf } from '../../src/shell/address.ts';

test('the fleet address is read back as it was written', () => {
  const addresses: FleetAddress[] = [
    { q: '', sort: '', view: null, cols: null },
    { q: 'ns:payments -state:FINISHED "a b" ä&=?#+%', sort: '-restarts', view: 'cards', cols: ['name', 'age'] },
    { q: 'label:team=x,y', sort: 'name', view: 'table', cols: null },
  ];
  for (const address of addresses) assert.deepEqual(readAddress(writeAddress(address)), address);
  assert.equal(writeAddress(addresses[0] as FleetAddress), '');
});

test('nonsense in the address is left out', () => {
  assert.deepEqual(readAddress('?view=fancy&cols=nothing,at,all'), { q: '', sort: '', view: null, cols: null });
  assert.deepEqual(parseKeys('age,evil,name'), ['age', 'name']);
});

test('the columns of the default always fit, and the name and the health stay', () => {
  assert.deepEqual(fitting(4000).map((column) => column.key), DEFAULT_KEYS);
  for (const width of [320, 600, 900, 1100, 1400]) {
    const columns = fitting(width);
    assert.ok(columns.some((column) => column.key === 'name'));
    assert.ok(columns.some((column) => column.key === 'health'));
    if (columns.length > 2) assert.ok(leastWidth(columns) <= width, `${width}`);
  }
});

test('what is happening is told as long as it fits at all', () => {
  assert.deepEqual(fitting(720).map((column) => column.key), ['name', 'health', 'sentence']);
  assert.deepEqual(fitting(500).map((column) => column.key), ['name', 'health']);
});

test('the name is a column even when it was not asked for', () => {
  assert.equal(columnsOf(['age'])[0]?.key, 'name');
});

test('routes below a base', () => {
  const job = { page: 'job', namespace: 'payments', kind: 'flinkdeployments', name: 'a.b-c', tab: 'overview' };
  for (const base of ['/', '/flink-fleet/']) {
    assert.deepEqual(routeOf(base, base), { page: 'fleet' });
    assert.deepEqual(routeOf(`${base}ns/payments/flinkdeployments/a.b-c`, base), job);
    assert.deepEqual(routeOf(`${base}ns/payments/flinkdeployments/a.b-c/`, base), job);
    assert.deepEqual(routeOf(base + pathOfJob({ namespace: 'payments', kind: 'flinkdeployments', name: 'a.b-c' }, 'logs'), base), { ...job, tab: 'logs' });
  }
  assert.deepEqual(routeOf('/flink-fleet', '/flink-fleet/'), { page: 'fleet' });
});

test('paths of nothing are said to be unknown', () => {
  for (const path of ['/x', '/ns/a', '/ns/a/pods/b', '/ns/a/flinkdeployments/b/nothing', '/ns/a/flinkdeployments/b/logs/c', '/ns/payments/card/flink/']) {
    assert.equal(routeOf(path, '/').page, 'unknown', path);
  }
  assert.equal(routeOf('/elsewhere', '/flink-fleet/').page, 'unknown');
  assert.equal(routeOf('/ns/a/flinkdeployments/%E0%A4%A', '/').page, 'job');
});
