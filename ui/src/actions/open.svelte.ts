// Which action's dialog is open; there is one at a time.
import type { ActionName, Row } from '../api/types.ts';

export type OpenAction =
  | { what: 'one'; action: ActionName; row: Row; path?: string }
  | { what: 'many'; action: ActionName; rows: Row[] };

class Actions {
  open = $state.raw<OpenAction | null>(null);

  ask(action: ActionName, row: Row, path?: string): void {
    this.open = path === undefined ? { what: 'one', action, row } : { what: 'one', action, row, path };
  }

  askMany(action: ActionName, rows: Row[]): void {
    this.open = { what: 'many', action, rows };
  }

  close(): void {
    this.open = null;
  }
}

export const actions = new Actions();
