// What each action is called, what it does in short, and what it asks for.
import type { ActionName, Job, Row } from '../api/types.ts';
import type { IconName } from '../parts/icons.ts';

export interface ActionWords {
  label: string;
  /** Said on the button that carries it out. */
  verb: string;
  about: string;
  icon: IconName;
  asks: 'nothing' | 'parallelism' | 'image' | 'path' | 'dispose';
  bulk: boolean;
}

export const ACTION_WORDS: Record<ActionName, ActionWords> = {
  savepoint: { label: 'Savepoint', verb: 'Take a savepoint', about: 'Writes the state to a savepoint; the job goes on.', icon: 'savepoint', asks: 'nothing', bulk: true },
  checkpoint: { label: 'Checkpoint', verb: 'Take a checkpoint', about: 'Asks Flink for a checkpoint now; the job goes on.', icon: 'check', asks: 'nothing', bulk: true },
  suspend: { label: 'Suspend', verb: 'Suspend', about: 'Stops the job and keeps its state.', icon: 'pause', asks: 'nothing', bulk: true },
  resume: { label: 'Resume', verb: 'Resume', about: 'Starts the job from the state that was kept.', icon: 'right', asks: 'nothing', bulk: true },
  restart: { label: 'Restart', verb: 'Restart', about: 'Stops the job and starts it with its state.', icon: 'turn', asks: 'nothing', bulk: true },
  rescale: { label: 'Rescale', verb: 'Rescale', about: 'Starts the job again at another parallelism.', icon: 'columns', asks: 'parallelism', bulk: false },
  upgradeImage: { label: 'Upgrade image', verb: 'Upgrade', about: 'Starts the job again with another image.', icon: 'up', asks: 'image', bulk: false },
  rollback: { label: 'Roll back', verb: 'Roll back', about: 'Goes back to the last spec that ran well, with its state.', icon: 'turn', asks: 'nothing', bulk: false },
  restore: { label: 'Restore', verb: 'Restore', about: 'Starts the job from a snapshot of before.', icon: 'clock', asks: 'path', bulk: false },
  delete: { label: 'Delete', verb: 'Delete', about: 'Takes the resource away.', icon: 'cross', asks: 'dispose', bulk: true },
};

export function actionWords(name: string): ActionWords | null {
  return ACTION_WORDS[name as ActionName] ?? null;
}

/** Why an action cannot be taken on a job; null when it can. */
export function refusal(job: Job | null, name: ActionName, readOnlyReason: string | null): string | null {
  if (readOnlyReason !== null) return readOnlyReason;
  if (!job) return 'Not known yet: the resource is being read.';
  const action = job.actions.find((one) => one.name === name);
  if (action) return action.allowed ? null : (action.reason ?? 'This is not possible now.');
  const may = name === 'delete' ? job.may.delete : job.may.patch;
  return may.allowed ? 'There is no such action for this resource.' : (may.reason ?? 'You may not change this resource.');
}

export function nameOf(row: Pick<Row, 'namespace' | 'name'>): string {
  return `${row.namespace}/${row.name}`;
}
