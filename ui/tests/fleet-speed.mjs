// How fast the fleet page is: first rows, a filter, how much is in the page, and frames while rows change.
//
// The server is asked to have many resources and to change some while this runs (as a test of the product does);
// DREY_FIRST_MS, DREY_FILTER_MS, DREY_NODES and DREY_FPS are the limits.
import { fail, fleetOf, url, withBrowser } from './browser.mjs';

const limit = (name, otherwise) => Number(process.env[name] ?? otherwise);
const FIRST_MS = limit('DREY_FIRST_MS', 1000);
const FILTER_MS = limit('DREY_FILTER_MS', 150);
const NODES = limit('DREY_NODES', 2000);
const FPS = limit('DREY_FPS', 50);
const WATCHED_MS = limit('DREY_WATCHED_MS', 10_000);

await withBrowser({}, async (page) => {
  await page.goto(url());
  await page.waitForSelector('[role="row"][data-id]');
  const { matched } = await fleetOf(page, 'limit=1');

  const firsts = [];
  for (let round = 0; round < 3; round += 1) {
    await page.goto('about:blank');
    const begun = Date.now();
    await page.goto(url(), { waitUntil: 'commit' });
    await page.waitForSelector('[role="row"][data-id]');
    firsts.push(Date.now() - begun);
  }
  const first = firsts.sort((a, b) => a - b)[1];

  // When the page answers: the first paint, or the end of the last long task after it, as a trace tells.
  const interactive = await page.evaluate(async () => {
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
    observer.observe({ type: 'longtask', buffered: true });
    await new Promise((resolve) => setTimeout(resolve, 500));
    observer.disconnect();
    const painted = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
    return Math.max(painted, ...tasks.map((task) => task.startTime + task.duration));
  });

  const nodes = await page.evaluate(() => document.getElementsByTagName('*').length);
  const rows = await page.locator('[role="row"][data-id]').count();
  const counted = Number(await page.locator('[role="table"]').getAttribute('aria-rowcount'));
  if (counted !== matched + 1) fail(`aria-rowcount is ${counted}, with ${matched} resources`);

  // From the key to the rows of the new search being painted.
  const filters = [];
  for (const text of ['a', 'er', 'in', 's', 'o']) {
    filters.push(
      await page.evaluate(async (wanted) => {
        const input = document.getElementById('search');
        const begun = performance.now();
        input.focus();
        input.value = wanted;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        // The chips are painted together with the rows of their answer.
        const seen = () => document.querySelector('.terms li span')?.textContent === wanted;
        while (!seen() && performance.now() - begun < 5000) await new Promise((resolve) => requestAnimationFrame(resolve));
        return performance.now() - begun;
      }, text),
    );
  }
  const filter = filters.sort((a, b) => a - b)[2];
  await page.goto(url());
  await page.waitForSelector('[role="row"][data-id]');
  await page.waitForTimeout(1000);

  const watched = await page.evaluate(async (ms) => {
    const box = document.querySelector('.box');
    const changes = { n: 0 };
    const observer = new MutationObserver((list) => (changes.n += list.length));
    observer.observe(box, { subtree: true, characterData: true, childList: true, attributes: true });
    let frames = 0;
    let longest = 0;
    let last = performance.now();
    const begun = last;
    while (performance.now() - begun < ms) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const at = performance.now();
      longest = Math.max(longest, at - last);
      last = at;
      frames += 1;
    }
    observer.disconnect();
    return { fps: (frames * 1000) / (performance.now() - begun), longest, changes: changes.n, top: box.scrollTop };
  }, WATCHED_MS);

  const scrolled = await page.evaluate(async () => {
    const box = document.querySelector('.box');
    let frames = 0;
    const begun = performance.now();
    while (performance.now() - begun < 3000) {
      box.scrollTop += 300;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      frames += 1;
    }
    return (frames * 1000) / (performance.now() - begun);
  });
  await page.waitForTimeout(800);
  const after = await page.locator('[role="row"][data-id]').count();

  console.log(`fleet of ${matched}: first rows ${first} ms, interactive after ${Math.round(interactive)} ms, filter ${Math.round(filter)} ms, ${nodes} elements, ${rows} rows in the page`);
  console.log(`while rows change: ${watched.fps.toFixed(1)} fps, longest frame ${watched.longest.toFixed(0)} ms, ${watched.changes} changes of the page; scrolling ${scrolled.toFixed(1)} fps`);
  if (first > FIRST_MS) fail(`first rows took ${first} ms, more than ${FIRST_MS}`);
  if (filter > FILTER_MS) fail(`a filter took ${Math.round(filter)} ms, more than ${FILTER_MS}`);
  if (nodes > NODES) fail(`${nodes} elements in the page, more than ${NODES}`);
  if (watched.fps < FPS) fail(`${watched.fps.toFixed(1)} fps while rows change, less than ${FPS}`);
  if (watched.top !== 0) fail(`the scroll moved by itself to ${watched.top}`);
  if (after === 0) fail('no rows after scrolling');
});
