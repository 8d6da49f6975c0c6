// What the browser keeps for the person: a value by name, and the default when storage is forbidden, full or odd.

const PREFIX = 'drey.';

export function readStored<T>(name: string, isRight: (value: unknown) => value is T, otherwise: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name);
    if (text === null) return otherwise;
    const value: unknown = text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text;
    return isRight(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

export function writeStored(name: string, value: string | object | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, typeof value === 'string' ? value : JSON.stringify(value));
  } catch {
    // Kept for this page only.
  }
}
