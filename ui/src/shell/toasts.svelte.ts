// Short messages about what just happened; read out politely, gone by themselves.

export interface Toast {
  id: number;
  kind: 'done' | 'refused' | 'failed';
  text: string;
  detail: string | null;
}

const SHOWN_MS = 7000;
const TOASTS_MAX = 4;

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  say(kind: Toast['kind'], text: string, detail: string | null = null): void {
    const id = this.#next++;
    const others = this.list.filter((toast) => toast.text !== text);
    this.list = [...others.slice(1 - TOASTS_MAX), { id, kind, text, detail }];
    // A failure stays until it is put away.
    if (kind !== 'failed') setTimeout(() => this.close(id), SHOWN_MS);
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
