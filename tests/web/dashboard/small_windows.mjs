// Small windows, and large ones at 400 %.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { click, fill, reads, visit } from '../browser.mjs';
import { makeWebhook, using } from '../stage.mjs';
import { addAccount, addPost, addWebhook, ask, delivered, path_, RUN, testEvent, url } from '../workspace.mjs';

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
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'a'.repeat(501));
    await click(page, 'checkbox', `${LONG}${RUN} Sandbox`);
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'takes at most 500 characters', '.field-error');
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

test('a name that is cut off loses its end in whichever direction it is read, and what a delivery waits for is not cut off', async () => {
  const server = createServer((_, response) => response.writeHead(503, { 'Retry-After': '3600' }).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const hook = await addWebhook(`ערוץ ${'ארוך '.repeat(12)}${RUN}`, `http://127.0.0.1:${server.address().port}/`);
  await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {maxAttempts: 2}) { errors { message } } }', { id: hook });
  await delivered(await testEvent(hook), ['RETRYING']);
  server.close();
  await using({}, async (page) => {
    await visit(page, `${url}/deliveries?status=RETRYING`);
    await reads(page, 'The receiver asked for a pause', '.rows');
    await page.evaluate(() => document.fonts.ready);
    const [beginning, end, isCut] = await page.$$eval('.cell-webhook', (cells) => {
      const cell = cells.find(({ textContent }) => textContent.startsWith('ערוץ'));
      const range = new Range();
      range.setStart(cell.firstChild, 0);
      range.setEnd(cell.firstChild, 1);
      const took = cell.closest('.row').querySelector('.cell-took');
      return [range.getBoundingClientRect().right, cell.closest('.cell-event').getBoundingClientRect().right, took.scrollWidth > took.clientWidth];
    });
    assert.ok(beginning <= end, `${beginning} > ${end}`);
    assert.equal(isCut, false);
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

test('a list hides none of its columns, however narrow they have to be and however long an address is', async () => {
  const far = `${new Date().getFullYear() + 2}-06-05T10:00:45Z`;
  const accounts = [await addAccount(`${LONG.slice(0, 60)}${RUN}`), await addAccount(`حساب طويل بما يكفي ليقطع ${RUN}`)];
  await addPost({ body: 'Takes a while', accountIds: accounts, scheduledAt: far });
  await delivered(await testEvent(await addWebhook('Has a long address', `http://127.0.0.1:9999/${LONG}`)));
  await using({}, async (page) => {
    for (const list of ['webhooks', 'deliveries', 'posts', 'accounts']) {
      await visit(page, `${url}/${list}`);
      await page.waitForSelector('tbody tr, .rows .row');
      for (const width of [1000, 1024, 1100]) {
        await page.setViewport({ width, height: 800 });
        const beyond = await page.$$eval('main th, main td, main [role=cell]', (cells) =>
          cells.filter((cell) => cell.getBoundingClientRect().right > cell.closest('.panel').getBoundingClientRect().right).map(({ textContent }) => textContent),
        );
        assert.deepEqual([...new Set(beyond)], [], `${list}, ${width} px`);
      }
      // A name that is cut off loses its end, and not its beginning.
      if (list === 'posts') assert.equal(await page.$$eval('.chip', (chips) => getComputedStyle(chips.find((chip) => chip.textContent.startsWith('حساب'))).direction), 'rtl');
    }
  });
});

test('the dialog that sends a test event has its button in sight, however long the callback URL is', async () => {
  const hook = await addWebhook('Far away', `http://127.0.0.1:9999/${LONG.repeat(16)}`);
  await using({ width: 360, height: 740 }, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await click(page, 'button', 'Send a test event');
    await reads(page, 'http://127.0.0.1:9999/', 'dialog');
    assert.equal(await page.$eval('dialog', ({ scrollHeight, clientHeight }) => scrollHeight - clientHeight), 0);
  });
});

test('a secret that is shown once comes into sight, and the keyboard to it, however far down the page it was asked for', async () => {
  const hook = await makeWebhook('Rotated far down');
  await using({ width: 360, height: 640 }, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    const button = await page.waitForSelector('.facts .button:not([aria-label])');
    await button.evaluate((element) => element.scrollIntoView({ block: 'start' }));
    await button.press('Enter');
    await reads(page, 'New secret', 'dialog');
    await click(page, 'button', 'Rotate');
    await page.waitForFunction(() => {
      const box = document.querySelector('.secret-once');
      return box?.contains(document.activeElement) && box.getBoundingClientRect().top >= 0 && box.getBoundingClientRect().bottom <= innerHeight;
    });
  });
});

test('a field of a small window says all that it is for', async () => {
  await using({ width: 360, height: 740 }, async (page) => {
    for (const address of ['deliveries', 'webhooks/new']) {
      await visit(page, `${url}/${address}`);
      await page.waitForSelector('input[placeholder]');
      await page.evaluate(() => document.fonts.ready);
      const cut = await page.$$eval('input[placeholder]', (fields) => {
        for (const field of fields) field.value = field.placeholder;
        return fields.filter((field) => field.scrollWidth > field.clientWidth).map(({ placeholder }) => placeholder);
      });
      assert.deepEqual(cut, []);
    }
  });
});

test('letters twice as large fit a phone, and names in its bar are whole and do not lie over each other', async () => {
  await addAccount(`Written large ${RUN}`);
  await using({ width: 360, height: 740 }, async (page) => {
    const wire = await page.createCDPSession();
    await wire.send('Page.setFontSizes', { fontSizes: { standard: 32 } });
    const tooWide = (selector) => page.$eval(selector, (element) => element.scrollWidth - element.clientWidth);
    await visit(page, `${url}/accounts`);
    await reads(page, 'Written large', '.account-table');
    const lines = await page.$$eval('.account-name strong', (found) => found.find(({ textContent }) => textContent.startsWith('Written large')).getClientRects().length);
    assert.ok(lines <= 4, `${lines} lines of three words`);
    await click(page, 'button', `Delete Written large ${RUN}`);
    await reads(page, 'Delete the account', 'dialog');
    assert.equal(await tooWide('dialog'), 0);
    await visit(page, `${url}/webhooks`);
    await reads(page, 'ago', '.webhook-table');
    assert.equal(await tooWide('.webhook-table'), 0);
    await visit(page, `${url}/deliveries`);
    await page.waitForSelector('.rows .row');
    const ends = await page.$$eval('.rows .row', (rows) => rows.filter((row) => [row.querySelector('.cell-event'), row].some((box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight)).map(({ textContent }) => textContent));
    assert.deepEqual(ends, []);
    await visit(page, `${url}/webhooks/new`);
    assert.equal(await tooWide('html'), 0);
    await visit(page, `${url}/posts/new`);
    await page.waitForSelector('input[name=scheduledAt]');
    assert.equal(await tooWide('html'), 0);
    assert.equal(await tooWide('.brand strong'), 0);
    const cut = await page.$$eval('.side ul span', (found) => found.filter((name) => name.scrollWidth > name.clientWidth).map(({ textContent }) => textContent));
    assert.deepEqual(cut, []);
    const names = await page.$$eval('.side ul span', (found) => found.map((name) => name.getBoundingClientRect()).map(({ left, right }) => [left, right]));
    assert.deepEqual(names.slice(1).filter(([left], index) => left < names[index][1]), []);
  });
});
