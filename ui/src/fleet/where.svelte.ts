// The fleet page's address as state, and the way back to it from other pages.
import { router } from '../shell/router.svelte.ts';
import { type FleetAddress, readAddress, writeAddress } from './address.ts';

class Where {
  #last = $state('');
  address: FleetAddress = $derived(readAddress(router.route.page === 'fleet' ? router.search : this.#last));

  /** Changes a part of the address. Typing replaces, a choice makes a step that the back button undoes. */
  set(part: Partial<FleetAddress>, how: 'push' | 'replace' = 'push'): void {
    const next = writeAddress({ ...this.address, ...part });
    this.#last = next;
    if (next === router.search && router.route.page === 'fleet') return;
    router.go(router.href('') + next, router.route.page === 'fleet' ? how : 'push');
  }

  remember(): void {
    if (router.route.page === 'fleet') this.#last = router.search;
  }

  href(): string {
    return router.href('') + this.#last;
  }

  hrefOf(part: Partial<FleetAddress>): string {
    return router.href('') + writeAddress({ ...this.address, ...part });
  }
}

export const where = new Where();
