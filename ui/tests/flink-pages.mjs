// Flink's own pages, as the dashboard passes them on: they work in their sandbox, offer nothing that changes a job, and reach
// nothing of the dashboard's.
//
// DREY_JOB    id of a running application: namespace/flinkdeployments/name
import { fail, url, withBrowser } from './browser.mjs';

const id = process.env.DREY_JOB;
if (!id) {
  console.error('DREY_JOB is not set: the id of a running application, such as default/flinkdeployments/ledger');
  process.exit(2);
}

await withBrowser({}, async (page) => {
  const problems = [];
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  page.on('pageerror', (error) => problems.push(error.message));

  async function step(what, deed) {
    try {
      await deed();
      console.log(`ok ${what}`);
    } catch (error) {
      fail(`not ok ${what}: ${error.message}\n${problems.join('\n')}\n${await page.locator('body').innerText().catch(() => '')}`);
    }
  }

  await step('they show the running job', async () => {
    await page.goto(url(`api/v1/ns/${id}/flink`));
    await page.getByText('Running Job List').waitFor({ timeout: 30_000 });
    await page.getByText('RUNNING', { exact: true }).first().click({ timeout: 30_000 });
    await page.getByText('Checkpoints', { exact: true }).first().waitFor({ timeout: 30_000 });
  });

  await step('they offer nothing that changes a job', async () => {
    for (const words of ['Cancel Job', 'Submit New Job']) {
      if (await page.getByText(words).count()) throw new Error(`there is "${words}"`);
    }
  });

  await step('their console is silent', () => {
    if (problems.length > 0) throw new Error('it is not');
  });

  await step('they reach nothing of the dashboard', async () => {
    const origin = await page.evaluate(() => self.origin);
    if (origin !== 'null') throw new Error(`their origin is ${origin}`);
    const answer = await page.evaluate(async (address) => {
      try {
        return (await fetch(address, { credentials: 'include', headers: { 'X-Drey': '1' } })).status;
      } catch {
        return 'refused';
      }
    }, url('api/v1/fleet'));
    if (answer !== 'refused') throw new Error(`the fleet answered ${answer}`);
    const cookies = await page.evaluate(() => { try { return document.cookie; } catch { return ''; } });
    if (cookies !== '') throw new Error(`they read ${cookies}`);
  });
});
