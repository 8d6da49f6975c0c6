// The shapes that the server sends: times are epoch milliseconds of the server's clock, a missing fact is null.

export type Health = 'failing' | 'degraded' | 'changing' | 'healthy' | 'suspended' | 'finished' | 'unknown';
export type RowType = 'application' | 'session' | 'sessionJob' | 'blueGreen' | 'snapshot';
export type Millis = number;

export interface Row {
  id: string;
  cluster: string;
  namespace: string;
  /** The plural of the custom resource, as in the address of the page. */
  kind: string;
  name: string;
  uid: string;
  /** The resourceVersion that this row was made of. */
  version: string;
  generation: number | null;
  type: RowType;
  /** The id of the resource that this one belongs to. */
  parent: string | null;
  health: Health;
  lifecycle: string | null;
  jobState: string | null;
  sentence: string;
  since: Millis | null;
  lastCheckpointAt: Millis | null;
  /** Restarts within one hour. */
  restarts: number | null;
  parallelism: number | null;
  taskManagers: number | null;
  cpu: number | null;
  memoryBytes: number | null;
  flinkVersion: string | null;
  image: string | null;
  imageTag: string | null;
  startedAt: Millis | null;
  createdAt: Millis | null;
  labels: Record<string, string> | null;
  gitops: string | null;
  warning: string | null;
}

export interface Stale {
  since: Millis;
  message: string;
}

export interface Session {
  version: string;
  now: Millis;
  mode: 'laptop' | 'cluster';
  cluster: string;
  user: string | null;
  maySignOut: boolean;
  readOnly: boolean;
  readOnlyReason: string | null;
  displayName: string;
  links: { name: string; pattern: string }[];
}

export type FacetName = 'health' | 'type' | 'namespace' | 'flinkVersion' | 'jobState';
export interface FacetCount {
  value: string;
  count: number;
}

export interface Summary extends Record<Health, number> {
  total: number;
  namespaces: number;
  oldestFailingSince: Millis | null;
  taskManagers: number;
  cpu: number;
  memoryBytes: number;
}

export interface Term {
  text: string;
  negative: boolean;
  error: string | null;
}

export interface Fleet {
  revision: number;
  now: Millis;
  complete: boolean;
  stale: Stale | null;
  total: number;
  matched: number;
  offset: number;
  rows: Row[];
  facets: Partial<Record<FacetName, FacetCount[]>>;
  summary: Summary;
  terms: Term[];
}

export type StreamMessage =
  | { event: 'hello'; data: { revision: number; now: Millis; complete: boolean; stale: Stale | null } }
  | { event: 'rows'; data: { revision: number; now: Millis; upserts: Row[]; deletes: string[] } }
  | { event: 'reset'; data: object }
  | { event: 'stale'; data: Stale }
  | { event: 'fresh'; data: object }
  | { event: 'beat'; data: { now: Millis } };

export interface Condition {
  type: string;
  status: string;
  reason: string | null;
  message: string | null;
  since: Millis | null;
}

export interface Fact {
  name: string;
  actual: string | null;
  wanted: string | null;
}

export interface Step {
  name: string;
  state: 'done' | 'now' | 'todo' | 'failed';
  detail: string | null;
}

export interface Progress {
  title: string;
  note: string | null;
  askedAt: Millis | null;
  steps: Step[];
  waiting: string | null;
  next: string | null;
}

export interface Change {
  field: string;
  from: string | null;
  to: string | null;
}

export interface May {
  allowed: boolean;
  reason: string | null;
}

export const ACTIONS = [
  'savepoint', 'checkpoint', 'suspend', 'resume', 'restart', 'rescale', 'upgradeImage', 'restore', 'delete',
] as const;
export type ActionName = (typeof ACTIONS)[number];

export interface Job {
  row: Row;
  now: Millis;
  title: { mode: string | null; flinkVersion: string | null; image: string | null; runningSince: Millis | null };
  conditions: Condition[];
  facts: Fact[];
  progress: Progress | null;
  restoredFrom: { path: string; kind: string; at: Millis | null } | null;
  jobId: string | null;
  changes: Change[];
  gitops: { tool: string; message: string } | null;
  may: { patch: May; update: May; delete: May };
  actions: { name: string; allowed: boolean; reason: string | null }[];
  links: { name: string; url: string }[];
  flinkUi: string | null;
}

export interface TimelineItem {
  at: Millis;
  source: 'operator' | 'kubernetes' | 'flink' | 'status';
  level: 'info' | 'warning' | 'error';
  title: string;
  detail: string | null;
  count: number;
}

export interface Spread {
  min: number | null;
  avg: number | null;
  max: number | null;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface Checkpoint {
  id: number;
  status: string;
  savepoint: boolean;
  triggeredAt: Millis;
  durationMs: number | null;
  sizeBytes: number | null;
  alignmentMs: number | null;
  failure: string | null;
  path: string | null;
}

export interface Checkpoints {
  counts: { completed: number; failed: number; inProgress: number; restored: number };
  restored: { id: number; at: Millis; path: string | null; savepoint: boolean } | null;
  summary: { durationMs: Spread | null; sizeBytes: Spread | null } | null;
  history: Checkpoint[];
  config: Record<string, string> | null;
}

export interface Snapshot {
  name: string | null;
  kind: string;
  state: string;
  path: string | null;
  at: Millis | null;
  trigger: string | null;
  error: string | null;
  disposeOnDelete: boolean | null;
}

export interface JobException {
  at: Millis;
  title: string;
  stack: string;
  task: string | null;
  taskManager: string | null;
  /** Outermost first, the root cause last. */
  chain: string[];
}

export interface Vertex {
  id: string;
  name: string;
  parallelism: number | null;
  status: string | null;
  inputs: string[];
  recordsIn: number | null;
  recordsOut: number | null;
  /** Share of time, 0 to 1. */
  backPressure: number | null;
  /** Share of time, 0 to 1. */
  busy: number | null;
  watermark: Millis | null;
  tasks: Record<string, number> | null;
}

export interface MetricValue {
  name: string;
  unit: string;
  value: number | null;
  limit: number | null;
}

export interface FlinkProcess {
  id: string;
  role: string;
  name: string;
  slots: string | null;
  heapUsed: number | null;
  heapMax: number | null;
}

export interface Yaml {
  yaml: string;
  version: string;
  masked: string[];
}

export interface ActionRequest {
  dryRun: boolean;
  version: string | null;
  confirm: string | null;
  parallelism?: number;
  image?: string;
  path?: string;
  disposeOfSavepoint?: boolean;
}

export interface ActionAnswer {
  patch: string;
  effect: string;
  dangerous: boolean;
  warnings: string[];
  applied: boolean;
  row: Row | null;
}

export interface EditAnswer {
  changes: Change[];
  effect: string;
  problems: { field: string | null; message: string; hint: string | null }[];
  applied: boolean;
}
