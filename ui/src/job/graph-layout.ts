// Places the vertices of a job's graph in layers from left to right. Pure: ids in, positions out.
//
// Layers by the longest way from a source; an order within each layer that crosses few edges (barycentre sweeps);
// an edge over several layers bends through a free place in each. A loop or an unknown input, as only a broken answer
// has them, is left out of the layering and never hangs the page.

export interface LayoutVertex {
  id: string;
  inputs: readonly string[];
}

export interface Placed {
  id: string;
  x: number;
  y: number;
}

export interface Edge {
  from: string;
  to: string;
  /** Where the edge runs: its start, its bends, its end. */
  points: { x: number; y: number }[];
}

export interface Layout {
  width: number;
  height: number;
  vertices: Placed[];
  edges: Edge[];
}

export interface Sizes {
  width: number;
  height: number;
  gapX: number;
  gapY: number;
}

interface Node {
  id: string;
  /** A place that an edge passes through, not a vertex. */
  through: boolean;
  layer: number;
  order: number;
  before: Node[];
  after: Node[];
}

const SWEEPS = 6;

export function layoutGraph(given: readonly LayoutVertex[], sizes: Sizes): Layout {
  const vertices = [...new Map(given.map((vertex) => [vertex.id, vertex])).values()];
  const links = acyclicLinks(vertices);
  const layerOf = layers(vertices, links);
  const nodes = new Map<string, Node>();
  for (const { id } of vertices) nodes.set(id, { id, through: false, layer: layerOf.get(id) ?? 0, order: 0, before: [], after: [] });
  const all = [...nodes.values()];
  const chains = links.map(([from, to]) => chain(nodes.get(from) as Node, nodes.get(to) as Node, all));
  const columns = ordered(all);
  return place(columns, chains, sizes);
}

/** The edges without those that close a loop. */
function acyclicLinks(vertices: readonly LayoutVertex[]): [string, string][] {
  const inputs = new Map(vertices.map((vertex) => [vertex.id, vertex.inputs]));
  const state = new Map<string, 'open' | 'done'>();
  const links: [string, string][] = [];
  for (const { id } of vertices) {
    const stack: { id: string; next: number }[] = state.has(id) ? [] : [{ id, next: 0 }];
    if (stack.length > 0) state.set(id, 'open');
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as { id: string; next: number };
      const from = inputs.get(top.id)?.[top.next++];
      if (from === undefined) {
        state.set(top.id, 'done');
        stack.pop();
      } else if (inputs.has(from) && state.get(from) !== 'open') {
        if (!links.some(([a, b]) => a === from && b === top.id)) links.push([from, top.id]);
        if (!state.has(from)) {
          state.set(from, 'open');
          stack.push({ id: from, next: 0 });
        }
      }
    }
  }
  return links;
}

function layers(vertices: readonly LayoutVertex[], links: [string, string][]): Map<string, number> {
  const waiting = new Map(vertices.map(({ id }) => [id, 0]));
  for (const [, to] of links) waiting.set(to, (waiting.get(to) ?? 0) + 1);
  const layer = new Map<string, number>();
  let ready = vertices.filter(({ id }) => waiting.get(id) === 0).map(({ id }) => id);
  for (const id of ready) layer.set(id, 0);
  while (ready.length > 0) {
    const next: string[] = [];
    for (const id of ready) {
      for (const [from, to] of links) {
        if (from !== id) continue;
        layer.set(to, Math.max(layer.get(to) ?? 0, (layer.get(id) ?? 0) + 1));
        const left = (waiting.get(to) ?? 0) - 1;
        waiting.set(to, left);
        if (left === 0) next.push(to);
      }
    }
    ready = next;
  }
  return layer;
}

/** The nodes of one edge, with a place in every layer between. */
function chain(from: Node, to: Node, all: Node[]): Node[] {
  const path = [from];
  for (let layer = from.layer + 1; layer < to.layer; layer += 1) {
    const through: Node = { id: `${from.id}→${to.id}@${layer}`, through: true, layer, order: 0, before: [], after: [] };
    all.push(through);
    path.push(through);
  }
  path.push(to);
  for (let index = 1; index < path.length; index += 1) {
    (path[index - 1] as Node).after.push(path[index] as Node);
    (path[index] as Node).before.push(path[index - 1] as Node);
  }
  return path;
}

function ordered(all: Node[]): Node[][] {
  const columns: Node[][] = [];
  for (const node of all) (columns[node.layer] ??= []).push(node);
  const number = (column: Node[]): void => column.forEach((node, index) => (node.order = index));
  columns.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const column of down ? columns : [...columns].reverse()) {
      const weight = new Map(column.map((node) => [node, middle(down ? node.before : node.after, node.order)]));
      column.sort((a, b) => (weight.get(a) as number) - (weight.get(b) as number) || a.order - b.order);
      number(column);
    }
  }
  return columns;
}

function middle(neighbours: Node[], otherwise: number): number {
  return neighbours.length === 0 ? otherwise : neighbours.reduce((sum, node) => sum + node.order, 0) / neighbours.length;
}

function place(columns: Node[][], chains: Node[][], sizes: Sizes): Layout {
  const { width, height, gapX, gapY } = sizes;
  const slot = (node: Node): number => (node.through ? height / 2 : height) + gapY;
  const total = (column: Node[]): number => column.reduce((sum, node) => sum + slot(node), -gapY);
  const tallest = Math.max(0, ...columns.map(total));
  const at = new Map<Node, { x: number; y: number }>();
  columns.forEach((column, layer) => {
    let y = (tallest - total(column)) / 2;
    for (const node of column) {
      at.set(node, { x: layer * (width + gapX), y });
      y += slot(node);
    }
  });
  const vertices: Placed[] = [];
  for (const [node, position] of at) if (!node.through) vertices.push({ id: node.id, ...position });
  const edges = chains.map((path): Edge => {
    const points = path.flatMap((node, index) => {
      const { x, y } = at.get(node) as { x: number; y: number };
      const centre = y + (node.through ? height / 4 : height / 2);
      if (index === 0) return [{ x: x + width, y: centre }];
      if (index === path.length - 1) return [{ x, y: centre }];
      return [{ x, y: centre }, { x: x + width, y: centre }];
    });
    return { from: (path[0] as Node).id, to: (path.at(-1) as Node).id, points };
  });
  return { width: Math.max(0, columns.length * (width + gapX) - gapX), height: tallest, vertices, edges };
}

/** A smooth SVG path through the points of an edge. */
export function edgePath(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let path = `M${first.x} ${first.y}`;
  let from = first;
  for (const to of rest) {
    const bend = (to.x - from.x) / 2;
    path += from.y === to.y ? `L${to.x} ${to.y}` : `C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
    from = to;
  }
  return path;
}
