// What each health and state looks like: a tone, a shape and a word, so that colour never speaks alone.
import type { Health, RowType } from '../api/types.ts';
import type { IconName } from './icons.ts';

export type Tone = 'bad' | 'warn' | 'busy' | 'ok' | 'idle';

export const HEALTHS: readonly Health[] = ['failing', 'degraded', 'changing', 'healthy', 'suspended', 'finished', 'unknown'];

export const HEALTH_LOOKS: Record<Health, { tone: Tone; icon: IconName; word: string }> = {
  failing: { tone: 'bad', icon: 'cross', word: 'Failing' },
  degraded: { tone: 'warn', icon: 'bang', word: 'Degraded' },
  changing: { tone: 'busy', icon: 'turn', word: 'Changing' },
  healthy: { tone: 'ok', icon: 'check', word: 'Healthy' },
  suspended: { tone: 'idle', icon: 'pause', word: 'Suspended' },
  finished: { tone: 'idle', icon: 'flag', word: 'Finished' },
  unknown: { tone: 'idle', icon: 'question', word: 'Unknown' },
};

/** A server newer than this page may know more words. */
export function healthLook(health: string): { tone: Tone; icon: IconName; word: string } {
  return HEALTH_LOOKS[health as Health] ?? { tone: 'idle', icon: 'question', word: health || 'Unknown' };
}

const TYPE_WORDS: Record<RowType, { word: string; tag: string }> = {
  application: { word: 'Application', tag: 'app' },
  session: { word: 'Session cluster', tag: 'session' },
  sessionJob: { word: 'Session job', tag: 'job' },
  blueGreen: { word: 'Blue/green', tag: 'blue/green' },
  snapshot: { word: 'Snapshot', tag: 'snapshot' },
};

export function typeWord(type: string): string {
  return TYPE_WORDS[type as RowType]?.word ?? type;
}

export function typeTag(type: string): string {
  return TYPE_WORDS[type as RowType]?.tag ?? type;
}

const STATE_TONES: Record<string, Tone> = {
  RUNNING: 'ok', COMPLETED: 'ok', STABLE: 'ok', DEPLOYED: 'ok', READY: 'ok',
  FAILED: 'bad', FAILING: 'bad',
  CREATED: 'busy', INITIALIZING: 'busy', RESTARTING: 'busy', RECONCILING: 'busy', CANCELLING: 'busy', UPGRADING: 'busy',
  IN_PROGRESS: 'busy', TRIGGER_PENDING: 'busy', SCHEDULED: 'busy', DEPLOYING: 'busy', ROLLING_BACK: 'warn', ROLLED_BACK: 'warn',
  ABANDONED: 'warn',
};

const TONE_ICONS: Record<Tone, IconName> = { bad: 'cross', warn: 'bang', busy: 'turn', ok: 'check', idle: 'pause' };

/** Flink's and Kubernetes' own words stay as they are; they get a tone and a shape. */
export function stateLook(state: string): { tone: Tone; icon: IconName; word: string } {
  const tone = STATE_TONES[state] ?? 'idle';
  return { tone, icon: tone === 'idle' && state === 'FINISHED' ? 'flag' : TONE_ICONS[tone], word: state };
}
