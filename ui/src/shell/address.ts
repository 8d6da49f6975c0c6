// Addresses of the pages below the base: text to route and back, without the browser.

export const TABS = ['overview', 'timeline', 'checkpoints', 'snapshots', 'graph', 'logs', 'exceptions', 'metrics', 'yaml'] as const;
export type Tab = (typeof TABS)[number];

export const KINDS = ['flinkdeployments', 'flinksessionjobs', 'flinkbluegreendeployments', 'flinkstatesnapshots'] as const;

export type Route =
  | { page: 'fleet' }
  | { page: 'job'; namespace: string; kind: string; name: string; tab: Tab }
  | { page: 'unknown'; path: string };

/** `path` and `base` are pathnames; the base ends with a slash. */
export function routeOf(path: string, base: string): Route {
  const below = path.startsWith(base) ? path.slice(base.length) : `${path}/` === base ? '' : null;
  if (below === null) return { page: 'unknown', path };
  const segments = below.split('/').filter((segment) => segment !== '').map(decoded);
  if (segments.length === 0) return { page: 'fleet' };
  const [first, namespace, kind, name, tab = 'overview', ...rest] = segments;
  const known = first === 'ns' && namespace && name && (KINDS as readonly string[]).includes(kind ?? '');
  if (!known || !(TABS as readonly string[]).includes(tab) || rest.length > 0) return { page: 'unknown', path };
  return { page: 'job', namespace, kind: kind as string, name, tab: tab as Tab };
}

export function pathOfJob(key: { namespace: string; kind: string; name: string }, tab: Tab = 'overview'): string {
  const path = `ns/${[key.namespace, key.kind, key.name].map(encodeURIComponent).join('/')}`;
  return tab === 'overview' ? path : `${path}/${tab}`;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
