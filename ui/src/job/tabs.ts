// Which tabs a resource has: a session cluster has no checkpoints of its own, a snapshot no graph.
import type { RowType } from '../api/types.ts';
import { TABS, type Tab } from '../shell/address.ts';

export const TAB_WORDS: Record<Tab, string> = {
  overview: 'Overview', timeline: 'Timeline', checkpoints: 'Checkpoints', snapshots: 'Snapshots', graph: 'Graph', logs: 'Logs',
  exceptions: 'Exceptions', metrics: 'Metrics', yaml: 'YAML',
};

const ALL: readonly Tab[] = TABS;
const BY_TYPE: Record<RowType, readonly Tab[]> = {
  application: ALL,
  sessionJob: ALL,
  session: ['overview', 'timeline', 'logs', 'metrics', 'yaml'],
  blueGreen: ['overview', 'timeline', 'yaml'],
  snapshot: ['overview', 'timeline', 'yaml'],
};

export function tabsOf(type: string): readonly Tab[] {
  return BY_TYPE[type as RowType] ?? ALL;
}
