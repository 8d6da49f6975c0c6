// The server and the API server go away while somebody looks: the page says so within three seconds, keeps what it knows,
// and finds back by itself, with what has changed meanwhile.
import { ask, askNoMore } from './ask.mjs';
import { fail, jobPath, oneOfEach, settled, url, withBrowser } from './browser.mjs';

const TOLD_MS = 3000;
const BACK_MS = 20_000;

await withBrowser({}, async (page) => {
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  const banner = page.locator('.banner [role="alert"]');
  const row = (name) => page.locator('[role="row"][data-id]').filter({ hasText: name });

  async function step(what, deed) {
    try {
      await deed();
      console.log(`ok ${what}`);
    } catch (error) {
      fail(`not ok ${what}: ${error.message}\n${problems.join('\n')}\n${await page.locator('body').innerText().catch(() => '')}`);
    }
  }

  async function outage(down, up, words, made) {
    const before = await page.locator('[role="row"][data-id]').count();
    const begun = Date.now();
    await ask(down);
    const asked = Date.now() - begun;
    await banner.filter({ hasText: words }).waitFor({ timeout: TOLD_MS });
    const told = Date.now() - begun - asked;
    if ((await page.locator('[role="row"][data-id]').count()) !== before) throw new Error('rows went away');
    await ask(up);
    await ask(`make ${made}`);
    const again = Date.now();
    await row(made).waitFor({ timeout: BACK_MS });
    await banner.waitFor({ state: 'detached', timeout: BACK_MS });
    console.log(`   told within ${told} ms, back ${Date.now() - again} ms after it`);
  }

  await page.goto(url());
  await page.waitForSelector('[role="row"][data-id]');
  const [first] = await oneOfEach(page);
  // Whoever reloads loses it.
  await page.evaluate(() => { window.neverReloaded = true; });

  await step('the server is killed', () => outage('server-down', 'server-up', 'No connection', 'made-without-server'));
  await step('the API server goes away', () => outage('api-down', 'api-up', 'Stale since', 'made-without-api'));
  await step('the page of a resource outlasts both', async () => {
    await page.goto(url(jobPath(first)));
    await settled(page);
    await page.evaluate(() => { window.neverReloaded = true; });
    const title = await page.locator('main h1').innerText();
    for (const what of ['server', 'api']) {
      await ask(`${what}-down`);
      await banner.waitFor({ timeout: TOLD_MS });
      if ((await page.locator('main h1').innerText()) !== title) throw new Error('the page forgot what it showed');
      await ask(`${what}-up`);
      await banner.waitFor({ state: 'detached', timeout: BACK_MS });
    }
    await page.waitForFunction(() => document.querySelectorAll('.old').length === 0, null, { timeout: BACK_MS });
  });
  await step('nothing was reloaded, and nothing went wrong in the page', async () => {
    if (!(await page.evaluate(() => window.neverReloaded))) throw new Error('the page was loaded anew');
    if (problems.length > 0) throw new Error(problems.join('\n'));
  });
});
askNoMore();
