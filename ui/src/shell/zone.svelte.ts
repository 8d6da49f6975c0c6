// The time zone in which absolute times are written: the browser's own or UTC.
import { readStored, writeStored } from './stored.ts';

export type ZoneChoice = 'local' | 'utc';

class Zone {
  choice = $state<ZoneChoice>(readStored('zone', (value): value is ZoneChoice => value === 'local' || value === 'utc', 'local'));
  /** Undefined stands for the browser's own zone. */
  timeZone = $derived(this.choice === 'utc' ? 'UTC' : undefined);

  choose(choice: ZoneChoice): void {
    this.choice = choice;
    writeStored('zone', choice);
  }
}

export const zone = new Zone();
