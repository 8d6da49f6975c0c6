// Many requests, few at a time, each with its own result.

export type Outcome<T> = { state: 'waiting' } | { state: 'running' } | { state: 'done'; value: T } | { state: 'failed'; error: unknown };

/** Runs `task` for each item, at most `width` beside each other; every step is told to `onChange`. */
export async function inTurn<I, T>(
  items: readonly I[],
  width: number,
  task: (item: I) => Promise<T>,
  onChange: (index: number, outcome: Outcome<T>) => void,
  stopped: () => boolean = () => false,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && !stopped()) {
      const index = next++;
      onChange(index, { state: 'running' });
      try {
        onChange(index, { state: 'done', value: await task(items[index] as I) });
      } catch (error) {
        onChange(index, { state: 'failed', error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
