// Heimdall's own front end over this product's answers, in the same browser as the fleet page: every resource has its
// row, filters work, and how fast it is. DREY_URL is where its pages and our answers are served together.
import { fail, url, withBrowser } from './browser.mjs';

await withBrowser({}, async (page) => {
  page.on('pageerror', (error) => fail(`an error in the page: ${error.message}`));
  const jobs = await (await page.request.get(url('jobs'))).json();
  const firsts = [];
  for (let round = 0; round < 3; round += 1) {
    await page.goto('about:blank');
    const begun = Date.now();
    await page.goto(url(), { waitUntil: 'commit' });
    await page.waitForSelector('tbody tr', { timeout: 60_000 });
    firsts.push(Date.now() - begun);
  }
  const first = firsts.sort((a, b) => a - b)[1];
  const rows = await page.locator('tbody tr').count();
  if (rows !== jobs.length) fail(`${rows} rows for ${jobs.length} resources`);
  const nodes = await page.evaluate(() => document.getElementsByTagName('*').length);

  const wanted = jobs[0].name;
  const begun = Date.now();
  await page.fill('input[name="jobNameFilter"]', wanted);
  await page.waitForFunction((count) => document.querySelectorAll('tbody tr').length < count, rows, { timeout: 60_000 });
  const filter = Date.now() - begun;
  const expected = jobs.filter((job) => job.name.includes(wanted)).length;
  const shown = await page.locator('tbody tr').count();
  if (shown !== expected) fail(`the filter shows ${shown} rows, ${expected} match`);
  console.log(`heimdall's front end, ${rows} rows: first rows ${first} ms, filter ${filter} ms, ${nodes} elements`);
});
