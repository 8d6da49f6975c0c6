// Terms of the search, added and removed as text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { split, toggleValue, valuesOf, withoutTerm, withValues } from '../../src/fleet/query.ts';

test('splits at spaces outside of quotes', () => {
  assert.deepEqual(split('  a  b:"c d" "e f" '), ['a', 'b:"c d"', '"e f"']);
  assert.deepEqual(split(''), []);
  assert.deepEqual(split('"never closed x'), ['"never closed x']);
});

test('a facet adds its term, joins a second value, and takes it away again', () => {
  const one = toggleValue('fraud', 'health', 'failing');
  assert.equal(one, 'fraud health:failing');
  const two = toggleValue(one, 'health', 'degraded');
  assert.equal(two, 'fraud health:failing,degraded');
  assert.equal(toggleValue(two, 'health', 'failing'), 'fraud health:degraded');
  assert.equal(toggleValue('fraud health:failing', 'health', 'failing'), 'fraud');
});

test('an excluded value is another term than the same value asked for', () => {
  assert.deepEqual(valuesOf('-health:failing', 'health'), []);
  assert.equal(toggleValue('-health:failing', 'health', 'degraded'), '-health:failing health:degraded');
});

test('two terms of one prefix become one, at the place of the first', () => {
  assert.equal(withValues('ns:a x ns:b', 'ns', ['a', 'c']), 'ns:a,c x');
  assert.equal(withValues('ns:a x ns:b', 'ns', []), 'x');
});

test('values with spaces and commas are quoted and read back', () => {
  for (const value of ['a b', 'a,b', 'plain']) {
    assert.deepEqual(valuesOf(toggleValue('', 'ns', value), 'ns'), [value]);
  }
});

test('prefixes are found in any case', () => {
  assert.deepEqual(valuesOf('NS:payments', 'ns'), ['payments']);
});

test('a chip takes out its own term, also of two that are the same', () => {
  assert.equal(withoutTerm('a b a', 'a', 2, 3), 'a b');
  // The server may show a term otherwise than it was typed; then the text decides.
  assert.equal(withoutTerm('x "Fraud Team"', 'fraud team', 0, 1), 'x');
  assert.equal(withoutTerm('x y', 'z', 0, 1), 'x y');
});
