// The server's clock as seen from here: the browser's own may be wrong by a day.

class ServerClock {
  /** Server time minus the browser's, in milliseconds. */
  #offsetMs = 0;
  /** Server time, moved on once a second so that relative times on the page stay true. */
  now = $state(Date.now());

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.tick();
    }, 1000);
    document.addEventListener('visibilitychange', () => this.tick());
  }

  tick(): void {
    this.now = Date.now() + this.#offsetMs;
  }

  /** Every answer that carries `now` sets the clock; small differences are the network's and do not count. */
  set(serverNow: number): void {
    const offset = serverNow - Date.now();
    if (Number.isFinite(offset) && Math.abs(offset - this.#offsetMs) > 500) {
      this.#offsetMs = offset;
      this.tick();
    }
  }

  read(): number {
    return Date.now() + this.#offsetMs;
  }
}

export const clock = new ServerClock();
