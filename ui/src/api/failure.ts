// One error for everything that can go wrong with a request, sorted by what the person can do about it.

export type FailureKind =
  | 'unauthorized' | 'forbidden' | 'readOnly' | 'notFound' | 'invalid' | 'conflict' | 'unreachable' | 'tooMany' | 'internal'
  /** The server itself did not answer. */
  | 'offline';

export class Failure extends Error {
  readonly kind: FailureKind;
  readonly hint: string | null;
  readonly field: string | null;
  readonly status: number;

  constructor(kind: FailureKind, message: string, more: { hint?: string | null; field?: string | null; status?: number } = {}) {
    super(message);
    this.name = 'Failure';
    this.kind = kind;
    this.hint = more.hint ?? null;
    this.field = more.field ?? null;
    this.status = more.status ?? 0;
  }
}

const KINDS = new Set<string>([
  'unauthorized', 'forbidden', 'readOnly', 'notFound', 'invalid', 'conflict', 'unreachable', 'tooMany', 'internal',
]);

const BY_STATUS: Record<number, FailureKind> = {
  400: 'invalid', 401: 'unauthorized', 403: 'forbidden', 404: 'notFound', 409: 'conflict', 422: 'invalid', 429: 'tooMany',
  502: 'unreachable', 503: 'unreachable', 504: 'unreachable',
};

/** The failure that an answer with an error status tells of; a proxy in between may have answered with anything. */
export function failureOf(status: number, body: string): Failure {
  const byStatus = BY_STATUS[status] ?? 'internal';
  try {
    const error: unknown = (JSON.parse(body) as { error?: unknown }).error;
    if (error && typeof error === 'object') {
      const { kind, message, hint, field } = error as Record<string, unknown>;
      return new Failure(
        typeof kind === 'string' && KINDS.has(kind) ? (kind as FailureKind) : byStatus,
        typeof message === 'string' ? message : `The server answered ${status}.`,
        { hint: text(hint), field: text(field), status },
      );
    }
  } catch {
    // Not JSON: said below.
  }
  return new Failure(byStatus, `The server answered ${status}, and not in the words of drey.`, {
    hint: 'Something between this page and drey may have answered: a proxy or a login page.',
    status,
  });
}

export function failureFrom(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure('offline', 'The server does not answer.', { hint: 'The page tries again by itself.' });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
