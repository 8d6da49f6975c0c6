// Saved views: names for addresses of the fleet page, kept in this browser.
import { readStored, writeStored } from '../shell/stored.ts';

export interface View {
  name: string;
  search: string;
}

const isViews = (value: unknown): value is View[] =>
  Array.isArray(value) && value.every((view) => typeof view?.name === 'string' && typeof view?.search === 'string');

class Views {
  list = $state.raw<View[]>(readStored('views', isViews, []));

  save(name: string, search: string): void {
    this.list = [...this.list.filter((view) => view.name !== name), { name, search }].sort((a, b) => a.name.localeCompare(b.name));
    writeStored('views', this.list);
  }

  remove(name: string): void {
    this.list = this.list.filter((view) => view.name !== name);
    writeStored('views', this.list);
  }
}

export const views = new Views();
