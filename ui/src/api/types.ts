// The shapes that the server sends, by the names that the pages have for them. They are made from the server's own
// (schema.ts); only what the pages know better stands here.
import type { components } from './schema.ts';

type Types = components['schemas'];

export type Millis = number;
export type Health = Types['Health'];
export type RowType = Types['RowType'];
export type Row = Types['Row'];
export type Stale = Types['Stale'];
export type Session = Types['Session'];
export type Fleet = Types['Fleet'];
export type FacetName = 'health' | 'type' | 'namespace' | 'flinkVersion' | 'jobState';
export type FacetCount = Types['FacetCount'];
export type Summary = Types['FleetSummary'];
export type Term = Types['Term'];
export type StreamMessage = Types['StreamMessage'];
export type Job = Types['Detail'];
export type Condition = Types['Condition'];
export type Fact = Types['Fact'];
export type Step = Types['Step'];
export type Progress = Types['Progress'];
export type Change = Types['Change'];
export type May = Types['Verdict'];
export type TimelineItem = Types['TimelineItem'];
export type Timeline = Types['Timeline'];
export type Spread = Types['Spread'];
export type Checkpoint = Types['CheckpointRow'];
export type Checkpoints = Types['Checkpoints'];
export type CheckpointInDepth = Types['CheckpointInDepth'];
export type Snapshot = Types['Snapshot'];
export type Snapshots = Types['Snapshots'];
export type JobException = Types['JobException'];
export type Exceptions = Types['Exceptions'];
export type Vertex = Types['Vertex'];
export type Graph = Types['Graph'];
export type MetricValue = Types['Metric'];
export type Metrics = Types['Metrics'];
export type FlinkProcess = Types['Process'];
export type Processes = Types['Processes'];
export type Yaml = Types['Yaml'];
export type ActionRequest = Types['ActionRequest'];
export type ActionAnswer = Types['ActionAnswer'];
export type EditAnswer = Types['EditAnswer'];
export type Problem = Types['Refusal'];

export const ACTIONS = [
  'savepoint', 'checkpoint', 'suspend', 'resume', 'restart', 'rescale', 'upgradeImage', 'rollback', 'restore', 'delete',
] as const;
export type ActionName = (typeof ACTIONS)[number];
