// Signing in to a cluster's dashboard in a browser, as somebody who may only look and as somebody who may change: what each
// sees, which buttons are held back and why, and signing out.
//
// VIEWER, EDITOR  tokens of both; each sees team-a/orders and team-a/clicks, and the editor may change them
import AxeBuilder from '@axe-core/playwright';
import { fail, settled, url, withBrowser } from './browser.mjs';

const { VIEWER, EDITOR } = process.env;
if (!VIEWER || !EDITOR) {
  console.error('VIEWER and EDITOR are not set: the tokens of two people');
  process.exit(2);
}
const ORDERS = 'ns/team-a/flinkdeployments/orders';

async function step(what, deed) {
  try {
    await deed();
    console.log(`ok ${what}`);
  } catch (error) {
    fail(`not ok ${what}: ${error.message}`);
  }
}

async function signIn(page, token) {
  await page.goto(url());
  await page.getByLabel('Token or address').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

await withBrowser({}, async (page, context) => {
  await step('a wrong token is refused in words', async () => {
    await signIn(page, 'guess');
    await page.getByRole('alert').getByText('does not accept this token').waitFor({ timeout: 15_000 });
    await page.getByText('kubectl create token').waitFor();
    const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']).analyze();
    if (violations.length > 0) throw new Error(JSON.stringify(violations.map((one) => one.id)));
  });

  await step('a viewer sees their namespace', async () => {
    await signIn(page, VIEWER);
    await page.getByRole('link', { name: 'orders', exact: true }).waitFor({ timeout: 15_000 });
    await page.getByRole('link', { name: 'clicks', exact: true }).waitFor();
    if (await page.getByText('payments').count()) throw new Error('the page tells of another team');
    await page.getByTitle('Signed in as system:serviceaccount:people:viewer').waitFor();
  });

  await step('their buttons are held back and say why', async () => {
    await page.goto(url(ORDERS));
    await settled(page);
    const button = page.getByRole('button', { name: /^Rescale/ }).first();
    await button.waitFor();
    if ((await button.getAttribute('aria-disabled')) !== 'true') throw new Error('the button can be pressed');
    const said = `${await button.getAttribute('title')} ${await button.innerText()} ${await page.locator('main').innerText()}`;
    if (!said.includes('may not patch flinkdeployments in namespace team-a')) throw new Error(`no reason: ${said}`);
  });

  await step('no script reads the cookie', async () => {
    const visible = await page.evaluate(() => document.cookie);
    if (visible.includes('drey')) throw new Error(visible);
    const cookies = await context.cookies();
    if (!cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === 'Strict')) throw new Error('an open cookie');
  });

  await step('signing out leads back', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token or address').waitFor({ timeout: 15_000 });
    if ((await context.cookies()).length > 0) throw new Error('a cookie stayed');
  });

  await step('an editor may press, and not delete', async () => {
    await signIn(page, EDITOR);
    await page.getByRole('link', { name: 'orders', exact: true }).waitFor({ timeout: 15_000 });
    await page.goto(url(ORDERS));
    await settled(page);
    const button = page.getByRole('button', { name: /^Rescale/ }).first();
    if ((await button.getAttribute('aria-disabled')) === 'true') throw new Error('the button is held back');
    await page.getByRole('button', { name: /^More/ }).click();
    const remove = page.getByRole('menuitem', { name: /Delete/ });
    if ((await remove.getAttribute('aria-disabled')) !== 'true') throw new Error('deleting is not held back');
  });
});
