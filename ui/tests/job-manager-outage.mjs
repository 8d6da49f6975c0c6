// The JobManager is killed while somebody looks at what it tells: the page says that this is old, keeps it, and is right
// again by itself.
//
// DREY_JOB    id of a running application: namespace/flinkdeployments/name
import { ask, askNoMore } from './ask.mjs';
import { fail, url, withBrowser } from './browser.mjs';

const BACK_MS = 120_000;

await withBrowser({}, async (page) => {
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  try {
    await page.goto(url(`ns/${process.env.DREY_JOB}/checkpoints`));
    await page.locator('.counts').waitFor({ timeout: 30_000 });
    await ask('job-manager-down');
    const begun = Date.now();
    await page.locator('.old').filter({ hasText: 'Not up to date' }).waitFor({ timeout: 15_000 });
    const told = Date.now() - begun;
    if ((await page.locator('.counts').count()) !== 1) throw new Error('what was known went away');
    await page.locator('.old').waitFor({ state: 'detached', timeout: BACK_MS });
    await page.getByText('from checkpoint').or(page.getByText('restored')).first().waitFor({ timeout: BACK_MS });
    if (problems.length > 0) throw new Error(problems.join('\n'));
    console.log(`ok the JobManager is killed\n   told within ${told} ms, right again after ${Date.now() - begun} ms`);
  } catch (error) {
    fail(`not ok the JobManager is killed: ${error.message}\n${await page.locator('body').innerText().catch(() => '')}`);
  }
});
askNoMore();
