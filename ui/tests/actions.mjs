// What can be done, done in a browser to a running job: savepoint, rescale, suspend, resume, delete. Each is said before it
// is done, and seen on the page when it is, without a reload.
//
// DREY_JOB    id of a running application: namespace/flinkdeployments/name
import { fail, fleetOf, settled, url, withBrowser } from './browser.mjs';

/** How long Flink may take to stop and start a job on a busy machine. */
const PATIENCE = 240_000;

const id = process.env.DREY_JOB;
if (!id) {
  console.error('DREY_JOB is not set: the id of a running application, such as default/flinkdeployments/ledger');
  process.exit(2);
}
const name = id.split('/').at(-1);

await withBrowser({}, async (page) => {
  const rowOf = async () => (await fleetOf(page)).rows.find((row) => row.id === id);
  const pill = (word) => page.locator('h1').getByText(word, { exact: true });
  const dialog = page.locator('dialog[open]');
  let gone = false;

  async function step(what, deed) {
    if (gone) return;
    try {
      await deed();
      console.log(`ok ${what}`);
    } catch (error) {
      gone = true;
      fail(`not ok ${what}: ${error.message}\n${await page.locator('main').innerText().catch(() => '')}`);
    }
  }

  /** Waits for the effect in words, and goes on. */
  async function confirm(words, button) {
    await dialog.locator('.effect').getByText(words).waitFor({ timeout: 20_000 });
    await dialog.getByRole('button', { name: button, exact: true }).click();
    await dialog.waitFor({ state: 'detached', timeout: 20_000 });
  }

  await page.goto(url(`ns/${id}`));
  await settled(page);

  await step('the job runs', () => pill('Healthy').waitFor({ timeout: PATIENCE }));

  await step('savepoint', async () => {
    await page.getByRole('button', { name: 'Savepoint', exact: true }).click();
    await confirm('Takes a savepoint. The job runs on.', 'Take a savepoint');
    await page.getByRole('link', { name: 'Snapshots' }).click();
    await page.locator('main').getByText(/savepoint-[0-9a-f]{6}/).first().waitFor({ timeout: PATIENCE });
    await page.getByRole('link', { name: 'Overview' }).click();
  });

  await step('rescale', async () => {
    const { parallelism } = await rowOf();
    await page.getByRole('button', { name: 'Rescale', exact: true }).click();
    await dialog.getByRole('spinbutton').fill(String(parallelism + 1));
    await confirm(`starts it from there at parallelism ${parallelism + 1}`, 'Rescale');
    await pill('Changing').waitFor({ timeout: PATIENCE });
    await pill('Healthy').waitFor({ timeout: PATIENCE });
    if ((await rowOf()).parallelism !== parallelism + 1) throw new Error('the parallelism is the old one');
  });

  await step('suspend', async () => {
    await page.getByRole('button', { name: 'Suspend', exact: true }).click();
    await confirm('Takes a savepoint, stops the job and takes its cluster down', 'Suspend');
    await pill('Suspended').waitFor({ timeout: PATIENCE });
  });

  await step('resume', async () => {
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await confirm(/Starts the job from .*savepoint-/, 'Resume');
    await pill('Healthy').waitFor({ timeout: PATIENCE });
  });

  await step('delete asks for the name', async () => {
    await page.getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: /Delete/ }).click();
    await dialog.locator('.effect').waitFor({ timeout: 20_000 });
    const apply = dialog.getByRole('button', { name: 'Delete', exact: true });
    if (await apply.isEnabled()) throw new Error('it can be deleted without its name');
    await dialog.locator('input[type=text]').last().fill(name);
    await apply.click();
    await dialog.waitFor({ state: 'detached', timeout: 20_000 });
    await page.waitForFunction(() => /gone/i.test(document.querySelector('main')?.textContent ?? ''), null, { timeout: PATIENCE });
  });

  await step('it has left the fleet', async () => {
    await page.goto(url(`?q=name:${name}`));
    await page.getByText(/No match|Nothing runs here yet/).first().waitFor({ timeout: 30_000 });
  });
});
