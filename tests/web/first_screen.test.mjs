// The link that `hookline up` prints, as a person opens it. Started by test_first_screen.py, which has one such link.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { go, launch, openPage, reads } from './browser.mjs';

const { LINK: link } = process.env;

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

test('the link opens the webhooks signed in, leaves nothing in the address, and works once', async () => {
  const page = await openPage(browser);
  await go(page, link, 'load');
  await reads(page, 'Built-in receiver');
  assert.equal(page.url(), `${page.origin}/webhooks`);
  assert.match(await page.evaluate(() => sessionStorage.getItem('hookline.token')), /^hl_/);
  assert.deepEqual(page.faults, []);
  await page.browserContext().close();

  const again = await openPage(browser);
  await again.goto(link);
  await reads(again, 'This link was used already or is too old');
  assert.equal(await again.evaluate(() => sessionStorage.getItem('hookline.token')), null);
  await again.browserContext().close();
});
