// The graph's layout: every vertex has a place, edges go from left to right, and a lying answer hangs nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edgePath, layoutGraph, type LayoutVertex } from '../../src/job/graph-layout.ts';

const SIZES = { width: 200, height: 100, gapX: 50, gapY: 20 };
const vertex = (id: string, ...inputs: string[]): LayoutVertex => ({ id, inputs });
const DIAMOND = [vertex('a'), vertex('b', 'a'), vertex('c', 'a'), vertex('d', 'b', 'c', 'a')];

test('a diamond has three layers, and its long edge bends around', () => {
  const { vertices, edges, width } = layoutGraph(DIAMOND, SIZES);
  const x = Object.fromEntries(vertices.map((placed) => [placed.id, placed.x]));
  assert.deepEqual(x, { a: 0, b: 250, c: 250, d: 500 });
  assert.equal(width, 700);
  assert.equal(edges.length, 5);
  assert.equal(edges.find((edge) => edge.from === 'a' && edge.to === 'd')?.points.length, 4);
});

test('nothing overlaps', () => {
  const wide = [vertex('s'), ...Array.from({ length: 12 }, (_, n) => vertex(`m${n}`, 's')), vertex('t', ...Array.from({ length: 12 }, (_, n) => `m${n}`))];
  for (const graph of [DIAMOND, wide]) {
    const { vertices, height } = layoutGraph(graph, SIZES);
    for (const one of vertices) {
      assert.ok(one.y >= 0 && one.y + SIZES.height <= height + 0.001);
      for (const other of vertices) {
        if (one !== other && one.x === other.x) assert.ok(Math.abs(one.y - other.y) >= SIZES.height, `${one.id} over ${other.id}`);
      }
    }
  }
});

test('parallel chains do not cross', () => {
  const { vertices } = layoutGraph([vertex('a1'), vertex('b1'), vertex('b2', 'b1'), vertex('a2', 'a1')], SIZES);
  const y = Object.fromEntries(vertices.map((placed) => [placed.id, placed.y]));
  assert.equal((y.a1 as number) < (y.b1 as number), (y.a2 as number) < (y.b2 as number));
});

test('loops, unknown inputs, itself as input, twice the same: all places, no hang', () => {
  const { vertices, edges } = layoutGraph([vertex('a', 'c', 'a', 'ghost'), vertex('b', 'a', 'a'), vertex('c', 'b'), vertex('a', 'c')], SIZES);
  assert.deepEqual(vertices.map((placed) => placed.id).sort(), ['a', 'b', 'c']);
  assert.ok(edges.length <= 3);
  for (const { points } of edges) assert.ok((points[0]?.x ?? 0) < (points.at(-1)?.x ?? 0));
});

test('an empty graph is empty', () => {
  assert.deepEqual(layoutGraph([], SIZES), { width: 0, height: 0, vertices: [], edges: [] });
});

test('a long chain is laid out in little time', () => {
  const chain = Array.from({ length: 400 }, (_, n) => vertex(`v${n}`, ...(n > 0 ? [`v${n - 1}`, 'v0'] : [])));
  const begun = performance.now();
  assert.equal(layoutGraph(chain.slice(0, 120), SIZES).vertices.length, 120);
  assert.ok(performance.now() - begun < 2000);
});

test('paths are smooth and whole', () => {
  assert.equal(edgePath([{ x: 0, y: 0 }, { x: 10, y: 0 }]), 'M0 0L10 0');
  assert.equal(edgePath([{ x: 0, y: 0 }, { x: 10, y: 4 }]), 'M0 0C5 0 5 4 10 4');
  assert.equal(edgePath([]), '');
});
