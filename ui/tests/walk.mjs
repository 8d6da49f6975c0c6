// The main path by keyboard alone: fleet, a job, each of its tabs, an action's dialog, and back.
import { fail, fleetOf, settled, url, withBrowser } from './browser.mjs';

async function step(name, deed) {
  try {
    await deed();
    console.log(`ok ${name}`);
  } catch (error) {
    fail(`not ok ${name}: ${error.message}`);
  }
}

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

await withBrowser({}, async (page) => {
  const rows = (await fleetOf(page)).rows;
  const applications = rows.filter((one) => one.type === 'application');
  // One of which an action can be asked for.
  const row = applications.find((one) => one.jobState === 'RUNNING') ?? applications[0] ?? rows[0];
  if (!row) {
    fail('the fleet is empty: there is nothing to walk to');
    return;
  }
  const path = () => new URL(page.url()).pathname;
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
  const visibleFocus = () =>
    page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    });

  await page.goto(url());
  await settled(page);

  await step('the first Tab reaches the skip link, and it goes to the content', async () => {
    await page.keyboard.press('Tab');
    expect(/skip/i.test(await focused()), `the focus is on "${await focused()}"`);
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id === 'main'), 'the focus is not on the content');
  });

  await step('/ searches, Esc clears', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type(`name:${row.name}`);
    await page.waitForFunction((name) => new URLSearchParams(location.search).get('q') === `name:${name}`, row.name);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !new URLSearchParams(location.search).get('q'));
    await page.keyboard.press('Escape');
    expect(await page.evaluate(() => document.activeElement === document.body), 'Esc did not leave the search');
  });

  await step('j and k move, and the focus is seen', async () => {
    await page.keyboard.press('j');
    await page.waitForFunction(() => document.activeElement?.closest('[data-id]'));
    const first = await focused();
    await page.keyboard.press('j');
    await page.waitForFunction((before) => document.activeElement?.textContent?.trim() !== before, first);
    await page.keyboard.press('k');
    await page.waitForFunction((before) => document.activeElement?.textContent?.trim() === before, first);
    expect(await visibleFocus(), 'the focused row has no outline');
  });

  await step('j pressed while a search is under way moves in what it finds', async () => {
    const focusedId = () => page.evaluate(() => document.activeElement.closest('[data-id]')?.dataset.id);
    const start = await focusedId();
    await page.keyboard.press('/');
    await page.keyboard.type(`name:${row.name}`);
    await page.waitForFunction((count) => document.querySelectorAll('[role="row"][data-id]').length < count, rows.length);
    let answer;
    const asked = new Promise((resolve) => {
      const held = new Promise((release) => (answer = release));
      void page.route('**/api/v1/fleet?*', async (route) => {
        resolve();
        await held;
        await route.continue();
      });
    });
    await page.keyboard.press('Escape');
    await asked;
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    answer();
    await page.waitForFunction(
      (count) => document.querySelectorAll('[role="row"][data-id]').length >= Math.min(count, 10)
        && document.activeElement?.closest('[data-id]'), rows.length);
    const ids = await page.locator('[role="row"][data-id]').evaluateAll((all) => all.map((one) => one.dataset.id));
    const [from, to] = [ids.indexOf(start), ids.indexOf(await focusedId())];
    expect(to === from + 2, `two presses led from row ${from} to row ${to}`);
    await page.unroute('**/api/v1/fleet?*');
  });

  await step('. opens the actions of the row, Esc closes them and gives the focus back', async () => {
    await page.keyboard.press('.');
    await page.waitForSelector('[role="menu"]');
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'menuitem');
    await page.keyboard.press('ArrowDown');
    await page.waitForTimeout(800);
    const box = await page.locator('[role="menu"]').boundingBox();
    const view = page.viewportSize();
    expect(box && box.x >= 0 && box.y >= 0 && box.x + box.width <= view.width && box.y + box.height <= view.height, 'the menu is not in sight');
    await page.keyboard.press('Escape');
    await page.waitForSelector('[role="menu"]', { state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.closest('[data-id]') !== null), 'the focus is lost');
  });

  await step('Enter opens the job', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type(`name:${row.name} ns:${row.namespace} type:${row.type}`);
    await page.waitForFunction((name) => new URLSearchParams(location.search).get('q')?.includes(name), row.name);
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction((name) => document.activeElement?.closest('[data-id]')?.textContent?.includes(name), row.name);
    await page.keyboard.press('Enter');
    await page.waitForFunction((name) => location.pathname.includes(encodeURIComponent(name)), row.name);
    await settled(page);
    expect((await page.title()).includes(row.name), `the title is "${await page.title()}"`);
  });

  await step('] goes through every tab', async () => {
    const links = await page.locator('main nav a').evaluateAll((all) => all.map((link) => new URL(link.href).pathname));
    for (const wanted of links.slice(1)) {
      await page.keyboard.press(']');
      await page.waitForFunction((one) => location.pathname === one, wanted);
      await settled(page);
    }
    for (let n = 1; n < links.length; n += 1) await page.keyboard.press('[');
    await page.waitForFunction((one) => location.pathname === one, links[0]);
  });

  await step('an action: its dialog holds the focus, says what it will do, and Esc leaves it', async () => {
    await page.keyboard.press('.');
    await page.waitForFunction(() => document.activeElement?.closest('.actions'));
    const button = await focused();
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open]');
    await page.waitForSelector('dialog[open] .effect', { timeout: 5000 });
    for (let n = 0; n < 12; n += 1) {
      await page.keyboard.press('Tab');
      const inside = await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null);
      expect(inside, 'the focus left the dialog');
    }
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    expect((await focused()) === button, `the focus is on "${await focused()}", not back on "${button}"`);
  });

  await step('g f goes back to the fleet with its search', async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('f');
    await page.waitForFunction((base) => location.pathname === base, new URL(url()).pathname);
    expect(new URL(page.url()).searchParams.get('q')?.includes(row.name), 'the search is lost');
    expect(path() === new URL(url()).pathname, path());
  });

  await step('? helps', async () => {
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
  });

  await step('reload shows the same', async () => {
    await page.goto(url('?q=a&sort=-name&cols=name,health,age'));
    await settled(page);
    const seen = () => page.locator('[role="columnheader"]').allTextContents();
    const before = [await seen(), await page.locator('[role="row"][data-id]').first().textContent()];
    await page.reload();
    await settled(page);
    const after = [await seen(), await page.locator('[role="row"][data-id]').first().textContent()];
    expect(before[0].join() === after[0].join() && before[1]?.slice(0, 20) === after[1]?.slice(0, 20), `${before} became ${after}`);
  });
});
