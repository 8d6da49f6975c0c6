// Which action's dialog is open; there is one at a time.
import type { ActionName, Row } from '../api/types.ts';

/** What a dialog has to know of the resource that it is about. */
export type Target = Pick<Row, 'namespace' | 'kind' | 'name' | 'type' | 'parallelism' | 'image'>;

/** What is filled in already: the snapshot to start from, whether a savepoint's data goes with its resource. */
export interface Given {
  path?: string;
  dispose?: boolean;
}

export type OpenAction =
  | { what: 'one'; action: ActionName; row: Target; given: Given }
  | { what: 'many'; action: ActionName; rows: Row[] };

class Actions {
  open = $state.raw<OpenAction | null>(null);

  ask(action: ActionName, row: Target, given: Given = {}): void {
    this.open = { what: 'one', action, row, given };
  }

  askMany(action: ActionName, rows: Row[]): void {
    this.open = { what: 'many', action, rows };
  }

  close(): void {
    this.open = null;
  }
}

export const actions = new Actions();
