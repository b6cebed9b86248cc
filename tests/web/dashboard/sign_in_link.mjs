// The link that `hookline up` prints, as a person opens it: the one that it printed for this run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { go, openPage, reads } from '../browser.mjs';
import { browser } from '../stage.mjs';
import { link, url } from '../workspace.mjs';

test('the link of the first screen opens the webhooks signed in, leaves nothing in the address, and works once', async () => {
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

test('a link that is refused for another reason is not said to be used, but why it was refused', async () => {
  const page = await openPage(browser);
  await page.setRequestInterception(true);
  // As if a proxy in between gave the server another name.
  page.on('request', (request) => request.continue(request.method() === 'POST' ? { headers: { ...request.headers(), origin: 'https://elsewhere.example' } } : {}));
  await page.goto(`${url}/signin#code=unused`);
  await reads(page, 'This origin may not sign in here');
  await page.browserContext().close();
});
