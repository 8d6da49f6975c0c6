// Every page in both themes, also narrow, through axe: no violation of WCAG 2.2 AA is let through. A picture of each is
// written to the directory DREY_PICTURES, for people to look at.
import { mkdirSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { fail, jobPath, oneOfEach, settled, url, withBrowser } from './browser.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'];
const TABS = ['', 'timeline', 'checkpoints', 'snapshots', 'graph', 'logs', 'exceptions', 'metrics', 'yaml'];
let pages = 0;
let violations = 0;
const pictures = process.env.DREY_PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

async function examine(page, name) {
  if (pictures) await page.screenshot({ path: `${pictures}/${name.replace(/[^a-z0-9]+/gi, '-')}.png` });
  const { violations: found } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  pages += 1;
  for (const violation of found) {
    violations += violation.nodes.length;
    fail(`${name}: ${violation.id}: ${violation.help}`);
    for (const node of violation.nodes.slice(0, 3)) console.error(`    ${node.target.join(' ')}  ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`);
  }
}

for (const [colorScheme, width] of [['light', 1440], ['dark', 1440], ['light', 360], ['dark', 360]]) {
  await withBrowser({ colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' }, async (page, context) => {
    const where = (name) => `${colorScheme} ${width}: ${name}`;
    const walk = async (path, name) => {
      await page.goto(url(path));
      await settled(page);
      await examine(page, where(name));
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wider > 0) fail(`${where(name)}: the page scrolls sideways by ${wider} px`);
    };

    await walk('', 'fleet');
    await walk('?view=cards', 'fleet as cards');
    await walk('?view=table', 'fleet as a table');
    await walk('?q=nothing-has-this-name', 'fleet without a match');
    await walk('nowhere', 'no such page');
    await page.goto(url('?view=table'));
    await settled(page);
    if (await page.locator('[data-id]').count()) {
      await page.keyboard.press('j');
      await page.keyboard.press('x');
      await page.keyboard.press('.');
      await page.waitForSelector('[role="menu"]');
      await page.waitForTimeout(600);
      await examine(page, where('a selected row with its menu'));
      await page.keyboard.press('Escape');
    }
    const [first, ...others] = await oneOfEach(page);
    if (first) {
      await walk(`ns/${first.namespace}/${first.kind}/is-not-there`, 'a resource that is not there');
      for (const tab of TABS) await walk(jobPath(first, tab), `${first.type} ${tab || 'overview'}`);
      for (const row of others) await walk(jobPath(row), `${row.type} overview`);

      await page.goto(url(jobPath(first, 'yaml')));
      await settled(page);
      const edit = page.getByRole('button', { name: 'Edit', exact: true });
      if ((await edit.getAttribute('aria-disabled')) !== 'true') {
        await edit.click();
        await page.getByRole('button', { name: 'Check', exact: true }).click();
        await page.waitForTimeout(600);
        await examine(page, where('editing the YAML'));
      }
      await page.goto(url(jobPath(first)));
      await settled(page);
      const action = page.locator('.actions button:not([aria-disabled="true"])').first();
      if (await action.count()) {
        await action.click();
        await page.waitForTimeout(900);
        if (await page.locator('dialog[open]').count()) await examine(page, where('an action dialog'));
        await page.keyboard.press('Escape');
      }
      await page.keyboard.press('?');
      await page.waitForSelector('dialog[open]');
      await examine(page, where('help'));
    }

    await context.clearCookies();
    await page.goto(url(''));
    await page.waitForTimeout(500);
    if (await page.getByLabel('Token or address').count()) await examine(page, where('sign in'));
  });
}

console.log(`axe: ${pages} pages, ${violations} violations${pictures ? `; pictures in ${pictures}` : ''}`);
