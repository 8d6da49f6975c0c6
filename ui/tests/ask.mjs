// Walks during which something outside of the browser has to happen: what is to be done is asked for on the output
// (`ask server-down`), and whoever started the walk answers with a line when it is done.
import { createInterface } from 'node:readline';

const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

export async function ask(what) {
  console.log(`ask ${what}`);
  const { done } = await lines.next();
  if (done) throw new Error(`nobody did what was asked for: ${what}`);
}

/** Lets the process end. */
export function askNoMore() {
  input.close();
  process.stdin.destroy();
}
