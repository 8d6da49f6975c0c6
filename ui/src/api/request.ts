// Requests to the server: always below the base of the page, always with the header that a foreign page cannot send.
import { Failure, failureFrom, failureOf, isAbort } from './failure.ts';

const HEADERS = { 'X-Drey': '1' };

/** What a path segment of a resource is: names may hold any legal character. */
export interface ResourceKey {
  namespace: string;
  kind: string;
  name: string;
}

export function resourcePath(key: ResourceKey, rest = ''): string {
  const segments = [key.namespace, key.kind, key.name].map(encodeURIComponent).join('/');
  return `ns/${segments}${rest ? `/${rest}` : ''}`;
}

/** The address of something in the API, without the page's own address in it. */
export function apiUrl(path: string, query: Record<string, string | number | boolean | null> = {}): string {
  const url = new URL(`api/v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== '') url.searchParams.set(name, String(value));
  return url.href;
}

type SignOutListener = () => void;
let signedOut: SignOutListener = () => {};
/** Whoever shows the sign-in page is told of every 401, wherever it came from. */
export function onSignedOut(listener: SignOutListener): void {
  signedOut = listener;
}

export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...init, headers: { ...HEADERS, ...init.headers } });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw failureFrom(error);
  }
  if (response.ok) return response;
  const failure = failureOf(response.status, await response.text().catch(() => ''));
  if (failure.kind === 'unauthorized') signedOut();
  throw failure;
}

export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return json<T>(await send(url, { signal: signal ?? null, headers: { Accept: 'application/json' } }));
}

export async function postJson<T>(url: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return json<T>(
    await send(url, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: signal ?? null,
      headers: { Accept: 'application/json', 'Content-Type': 'application/json' },
    }),
  );
}

async function json<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Failure('internal', 'The answer of the server cannot be read.', {
      hint: 'Something between this page and drey may have changed it: a proxy or a login page.',
      status: response.status,
    });
  }
}
