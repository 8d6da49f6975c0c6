// Keys of the whole page: single ones and sequences like "g f"; silent while something is being typed or a dialog is open.

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const SEQUENCE_MS_MAX = 1000;
const stack: Keys[] = [];
let before = '';
let beforeAt = 0;

/** Binds keys until the returned function is called; the latest binding of a key wins. */
export function bindKeys(keys: Keys): () => void {
  stack.push(keys);
  return () => {
    stack.splice(stack.indexOf(keys), 1);
  };
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'submit', 'range'].includes(target.type);
}

function bound(key: string): ((event: KeyboardEvent) => void) | undefined {
  for (let index = stack.length - 1; index >= 0; index -= 1) {
    const found = stack[index]?.[key];
    if (found) return found;
  }
  return undefined;
}

export function startKeyboard(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target) || document.querySelector('dialog[open], [role="menu"], [role="dialog"]')) return;
    const sequence = Date.now() - beforeAt < SEQUENCE_MS_MAX ? bound(`${before} ${event.key}`) : undefined;
    const deed = sequence ?? bound(event.key);
    before = sequence ? '' : event.key;
    beforeAt = Date.now();
    if (!deed) return;
    event.preventDefault();
    deed(event);
  });
}
