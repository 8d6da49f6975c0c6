// Nothing leaves the origin and nothing offends the content security policy, on every page.
import { fail, jobPath, oneOfEach, settled, url, withBrowser } from './browser.mjs';

const PATHS = ['', '?view=cards', 'nowhere'];
const TABS = ['', 'timeline', 'checkpoints', 'snapshots', 'graph', 'logs', 'exceptions', 'metrics', 'yaml'];

await withBrowser({}, async (page) => {
  const origin = new URL(url()).origin;
  let requests = 0;
  let visited = 0;
  page.on('request', (request) => {
    requests += 1;
    if (new URL(request.url()).origin !== origin) fail(`a foreign request: ${request.url()}`);
  });
  page.on('console', (message) => {
    if (/content security policy|refused to/i.test(message.text())) fail(`refused by the policy: ${message.text()}`);
  });
  page.on('pageerror', (error) => fail(`an error in the page: ${error.message}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`));
  });

  const answer = await page.goto(url());
  const policy = answer?.headers()['content-security-policy'] ?? '';
  if (!/default-src 'self'/.test(policy) || /unsafe/.test(policy)) fail(`the policy is not strict: ${policy || 'there is none'}`);

  const rows = await oneOfEach(page);
  const paths = [...PATHS, ...(rows[0] ? TABS.map((tab) => jobPath(rows[0], tab)) : []), ...rows.slice(1).map((row) => jobPath(row))];
  for (const path of paths) {
    await page.goto(url(path));
    await settled(page);
    visited += 1;
  }
  const styled = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--accent').trim());
  if (styled === '') fail('the styles were not loaded');
  console.log(`foreign: ${visited} pages, ${requests} requests, all to ${origin}`);
});
