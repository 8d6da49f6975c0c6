// Who is looking at what: the answer of the server's session, and whether there is one at all.
import { clock } from '../api/clock.svelte.ts';
import { type Failure, failureFrom } from '../api/failure.ts';
import { apiUrl, getJson, onSignedOut, send } from '../api/request.ts';
import type { Session } from '../api/types.ts';

class SessionState {
  data = $state.raw<Session | null>(null);
  failure = $state.raw<Failure | null>(null);
  signedOut = $state(false);
  displayName = $derived(this.data?.displayName || '$jobName');
  readOnly = $derived(this.data?.readOnly ?? false);

  constructor() {
    onSignedOut(() => {
      this.signedOut = true;
    });
  }

  async load(): Promise<void> {
    try {
      const data = await getJson<Session>(apiUrl('session'));
      clock.set(data.now);
      this.data = data;
      this.failure = null;
      this.signedOut = false;
    } catch (error) {
      this.failure = failureFrom(error);
    }
  }

  async signOut(): Promise<void> {
    try {
      await send(apiUrl('sign-out'), { method: 'POST' });
    } catch {
      // The page that comes says whether anybody is still signed in.
    }
    location.reload();
  }
}

export const session = new SessionState();
