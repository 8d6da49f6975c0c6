// The columns of the fleet table: one list that the heading, the rows, the chooser and the widths follow.

export interface Column {
  key: string;
  label: string;
  /** What the heading means, where the word alone does not say it. */
  title?: string;
  /** The name that the server sorts by. */
  sort?: string;
  /** CSS width for a grid, and the least width in pixels. */
  width: string;
  min: number;
  /** The width that other columns give way for. */
  comfortable?: number;
  number?: boolean;
  byDefault: boolean;
  /** Columns that were not chosen by hand give way on narrow windows, the highest number first. */
  givesWay: number;
}

export const COLUMNS: readonly Column[] = [
  { key: 'name', label: 'Name', sort: 'name', width: 'minmax(220px, 1.5fr)', min: 230, byDefault: true, givesWay: 0 },
  { key: 'namespace', label: 'Namespace', sort: 'namespace', width: 'minmax(90px, 0.5fr)', min: 90, byDefault: false, givesWay: 9 },
  { key: 'type', label: 'Type', width: '112px', min: 112, byDefault: false, givesWay: 9 },
  { key: 'health', label: 'Health', sort: 'health', width: '122px', min: 122, byDefault: true, givesWay: 0 },
  { key: 'lifecycle', label: 'Lifecycle', title: 'The lifecycle state that the operator writes', width: '112px', min: 112, byDefault: false, givesWay: 9 },
  { key: 'jobState', label: 'Job state', title: 'Flink’s own state of the job', sort: 'jobState', width: '112px', min: 112, byDefault: false, givesWay: 9 },
  { key: 'sentence', label: 'What is happening', width: 'minmax(200px, 3fr)', min: 200, comfortable: 360, byDefault: true, givesWay: 1 },
  { key: 'lastCheckpoint', label: 'Checkpoint', title: 'How long ago the last checkpoint was completed', sort: 'lastCheckpoint', width: '98px', min: 98, number: true, byDefault: true, givesWay: 3 },
  { key: 'restarts', label: 'Restarts', title: 'Restarts within one hour', sort: 'restarts', width: '82px', min: 82, number: true, byDefault: true, givesWay: 2 },
  { key: 'parallelism', label: 'Par.', title: 'Parallelism', sort: 'parallelism', width: '62px', min: 62, number: true, byDefault: true, givesWay: 4 },
  { key: 'resources', label: 'cpu · memory', sort: 'resources', width: '124px', min: 124, number: true, byDefault: true, givesWay: 6 },
  { key: 'version', label: 'Flink', sort: 'version', width: '64px', min: 64, byDefault: true, givesWay: 5 },
  { key: 'image', label: 'Image', sort: 'image', width: 'minmax(120px, 0.7fr)', min: 120, byDefault: true, givesWay: 7 },
  { key: 'age', label: 'Age', sort: 'age', width: '66px', min: 66, number: true, byDefault: true, givesWay: 6 },
  { key: 'start', label: 'Started', sort: 'start', width: '116px', min: 116, number: true, byDefault: false, givesWay: 9 },
];

const BY_KEY = new Map(COLUMNS.map((column) => [column.key, column]));
export const SELECT_WIDTH = 38;
export const MORE_WIDTH = 38;

/** The columns of a list of keys, in the table's order; the name is always there, unknown keys are left out. */
export function columnsOf(keys: string[]): Column[] {
  return COLUMNS.filter((column) => column.key === 'name' || keys.includes(column.key));
}

export function parseKeys(text: string | null): string[] | null {
  if (text === null || text === '') return null;
  const keys = text.split(',').filter((key) => BY_KEY.has(key));
  return keys.length > 0 ? keys : null;
}

export const DEFAULT_KEYS = COLUMNS.filter((column) => column.byDefault).map((column) => column.key);

/** The default columns that fit into a width: what matters least gives way first. */
export function fitting(width: number): Column[] {
  let shown = COLUMNS.filter((column) => column.byDefault);
  const comfort = (): number =>
    shown.reduce((sum, column) => sum + (column.comfortable ?? column.min), SELECT_WIDTH + MORE_WIDTH);
  while (comfort() > width) {
    const first = shown.filter((column) => column.givesWay > 0).sort((a, b) => b.givesWay - a.givesWay)[0];
    // What could be more comfortable is not given up while it fits at all.
    if (!first || (first.comfortable !== undefined && leastWidth(shown) <= width)) break;
    shown = shown.filter((column) => column !== first);
  }
  return shown;
}

export function gridOf(columns: Column[]): string {
  return [`${SELECT_WIDTH}px`, ...columns.map((column) => column.width), `${MORE_WIDTH}px`].join(' ');
}

export function leastWidth(columns: Column[]): number {
  return columns.reduce((sum, column) => sum + column.min, SELECT_WIDTH + MORE_WIDTH);
}
