// Small windows, and large ones at 400 %.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reads, visit } from '../browser.mjs';
import { makeWebhook, using } from '../stage.mjs';
import { addAccount, addPost, ask, delivered, path_, RUN, testEvent, url } from '../workspace.mjs';

/** 1280 by 1024 pixels at 400 %, as WCAG 1.4.10 has it. */
const ZOOMED = { width: 320, height: 256 };
const LONG = 'long'.repeat(24);

test('what the keyboard comes to is never behind the bar of a small window', async () => {
  await using(ZOOMED, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    await page.waitForSelector('.check .field-hint');
    const behind = [];
    let name = '';
    while (name !== 'Cancel') {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const { activeElement: element } = document;
        const bar = document.querySelector('.side ul');
        const isBehind = !bar.contains(element) && element.getBoundingClientRect().top >= bar.getBoundingClientRect().top;
        return { name: element.labels?.[0]?.textContent ?? element.textContent, isBehind };
      });
      name = at.name;
      if (at.isBehind) behind.push(name);
    }
    assert.deepEqual(behind, []);
  });
});

test('a small window is never too narrow for a name, and shows of each delivery whose it is', async () => {
  const hook = await makeWebhook(LONG, ['ACCOUNT_ADDED', 'POST_PUBLISHED']);
  await makeWebhook('Short name', ['POST_PUBLISHED']);
  const account = await addAccount(`${LONG}${RUN}`);
  const sent = await testEvent(hook);
  await delivered(sent);
  const post = await addPost({ body: 'Seen by long names', accountIds: [account] });
  await ask('mutation($id: ID!) { postPublish(id: $id) { errors { message } } }', { id: post });
  await using(ZOOMED, async (page) => {
    const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await reads(page, LONG, '.back');
    assert.equal(await tooWide(), 0);
    await visit(page, `${url}/posts/${path_(post)}`);
    await reads(page, 'See it on', '.post-accounts');
    assert.equal(await tooWide(), 0);
    await visit(page, `${url}/deliveries`);
    await reads(page, 'Short name', '.rows');
    const isWhole = await page.$$eval('.cell-webhook', (cells) => {
      const cell = cells.find(({ textContent }) => textContent === 'Short name');
      return cell.getBoundingClientRect().right <= cell.parentElement.getBoundingClientRect().right && cell.scrollWidth <= cell.clientWidth;
    });
    assert.ok(isWhole);
  });
});

test('in a small window too every cell is read out under its own heading', async () => {
  await using(ZOOMED, async (page) => {
    for (const list of ['webhooks', 'deliveries']) {
      await visit(page, `${url}/${list}`);
      await page.waitForSelector('tbody tr, .rows .row');
      const cells = await page.evaluate(() => {
        const isRead = (cell) => getComputedStyle(cell).display !== 'none';
        const rows = [...document.querySelectorAll('tr, [role=row]')].map((row) => [...row.querySelectorAll('th, td, [role=columnheader], [role=cell]')].filter(isRead).length);
        return [...new Set(rows)];
      });
      assert.equal(cells.length, 1, `${list}: ${cells}`);
    }
  });
});
