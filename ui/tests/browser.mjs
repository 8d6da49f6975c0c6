// What the page walks share: the browser, the address and token of a running dashboard, and waiting for what is seen.
//
// DREY_URL    address of the dashboard, base path included: http://127.0.0.1:8080/ ; a ?token=… in it signs in
// DREY_TOKEN  the token, when it is not in the address
// CHROMIUM    the browser, /usr/bin/chromium by default
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const given = process.env.DREY_URL;
if (!given) {
  console.error('DREY_URL is not set: the address of a running dashboard, such as http://127.0.0.1:8080/?token=…');
  process.exit(2);
}
const address = new URL(given);
const token = process.env.DREY_TOKEN ?? address.searchParams.get('token');
address.search = '';

export const base = address.href;

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
if (!existsSync(executablePath)) {
  console.error(`There is no browser at ${executablePath}: set CHROMIUM`);
  process.exit(2);
}

/** Opens a browser and signs in; `use` gets a page and its context, and everything is closed afterwards. */
export async function withBrowser(options, use) {
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
  try {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    if (token) {
      const signIn = new URL(base);
      signIn.searchParams.set('token', token);
      await page.goto(signIn.href);
    }
    return await use(page, context);
  } finally {
    await browser.close();
  }
}

/** The address of a page below the base. */
export function url(path = '') {
  return new URL(path, base).href;
}

/** The fleet as the server tells it. */
export async function fleetOf(page, query = 'limit=200') {
  const answer = await page.request.get(url(`api/v1/fleet?${query}`), { headers: { 'X-Drey': '1' } });
  if (!answer.ok()) throw new Error(`the fleet answered ${answer.status()}: ${await answer.text()}`);
  return answer.json();
}

/** One resource of each type that the fleet has, an application first; one that runs has more to show. */
export async function oneOfEach(page) {
  const found = new Map();
  // Snapshots are shown to those who ask for them.
  const rows = [...(await fleetOf(page)).rows, ...(await fleetOf(page, 'limit=1&q=type:snapshot')).rows];
  rows.sort((a, b) => Number(b.jobState === 'RUNNING') - Number(a.jobState === 'RUNNING'));
  for (const row of rows) if (!found.has(row.type)) found.set(row.type, row);
  const types = ['application', 'sessionJob', 'session', 'blueGreen', 'snapshot'];
  return types.map((type) => found.get(type)).filter((row) => row !== undefined);
}

export function jobPath(row, tab = '') {
  const path = `ns/${[row.namespace, row.kind, row.name].map(encodeURIComponent).join('/')}`;
  return tab ? `${path}/${tab}` : path;
}

/** Waits until nothing on the page says that it loads. */
export async function settled(page) {
  await page.waitForSelector('main', { timeout: 15_000 });
  await page.waitForFunction(() => document.querySelectorAll('.loading').length === 0, null, { timeout: 15_000 });
  await page.waitForTimeout(150);
}

export function fail(message) {
  console.error(message);
  process.exitCode = 1;
}
