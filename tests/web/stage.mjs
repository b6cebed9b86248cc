// The browser and the receiver of a run, which all its tests use.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before } from 'node:test';
import { inPage, launch, line, openPage, receive, told } from './browser.mjs';
import { addWebhook, token, url } from './workspace.mjs';

export const { SCREENSHOTS: screenshots } = process.env;
export let browser;
export let receiver;

before(async () => {
  browser = await launch();
  receiver = await receive();
  if (screenshots) await mkdir(screenshots, { recursive: true });
});

after(async () => {
  receiver?.close();
  await browser?.close();
});

/** Opens a page, signed in. */
export const using = (options, body) => inPage(browser, { token, ...options }, body);

/** The same on a line that can be cut. The only faults allowed are those that the cut itself makes the browser log. */
export async function usingLine(body) {
  const wire = await line(url);
  const page = await openPage(browser, { token });
  try {
    await body(page, wire);
    assert.deepEqual(page.faults.filter((fault) => !/WebSocket|ERR_(EMPTY_RESPONSE|CONNECTION|SOCKET_NOT_CONNECTED)/.test(fault)), []);
  } catch (error) {
    throw await told(page, error);
  } finally {
    await page.browserContext().close();
    wire.close();
  }
}

export const makeWebhook = (name, ...rest) => addWebhook(name, receiver.url, ...rest);

/** The rows of the log as [event, status]. */
export const rows = (page) =>
  page.$$eval('.rows .row', (found) => found.map((row) => [row.querySelector('.row-link').textContent, row.querySelector('.badge').textContent]));
