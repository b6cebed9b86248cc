// Lists of many pages. This part comes last because it leaves more webhooks behind than one page shows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { click, fill, reads, visit } from '../browser.mjs';
import { makeWebhook, receiver, using } from '../stage.mjs';
import { addAccount, ask, largeWebhook, path_, RUN, url } from '../workspace.mjs';

test('a list of many pages shows each once, however much changes meanwhile', async () => {
  const account = await addAccount(`Many ${RUN}`);
  const many = (times, one) => `mutation($input: PostCreateInput!) { ${Array.from({ length: times }, (_, number) => `p${number}: ${one}`).join(' ')} }`;
  for (let round = 0; round < 6; round++) await ask(many(10, 'postCreate(input: $input) { post { id } errors { message } }'), { input: { body: 'One of many', accountIds: [account] } });
  const links = (page) => page.$$eval('tbody .row-link', (found) => found.map((link) => link.getAttribute('href')));
  await using({}, async (page) => {
    await visit(page, `${url}/posts`);
    await reads(page, 'Live', '.live');
    await page.waitForFunction(() => document.querySelectorAll('tbody .row-link').length === 50);
    await page.evaluate(() => {
      const more = [...document.querySelectorAll('button')].find((button) => button.textContent === 'Show more');
      more.click();
      more.click();
    });
    await page.waitForFunction(() => document.querySelectorAll('tbody .row-link').length > 59);
    const before = await links(page);
    const { post } = (await ask(`mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } } }`, { input: { body: 'The newest', accountIds: [account] } })).postCreate;
    await ask('mutation($id: ID!) { postPublish(id: $id) { errors { message } } }', { id: post.id });
    await reads(page, 'The newest', 'table');
    await reads(page, 'Published', 'tbody tr:first-child');
    const after = await links(page);
    assert.equal(new Set(after).size, after.length);
    assert.deepEqual(before.filter((link) => !after.includes(link)), []);
  });
});

test('who asks for more while the list is read again gets it', async () => {
  const rows = (page, least) => page.waitForFunction((wanted) => document.querySelectorAll('tbody .row-link').length >= wanted, {}, least);
  const account = await addAccount(`Another ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/posts`);
    await reads(page, 'Live', '.live');
    await rows(page, 50);
    await page.setRequestInterception(true);
    let goOn = null;
    page.on('request', (request) => {
      if (goOn === null && request.postData()?.includes('query Posts(')) goOn = () => request.continue();
      else request.continue();
    });
    await ask('mutation($input: PostCreateInput!) { postCreate(input: $input) { errors { message } } }', { input: { body: 'It changes', accountIds: [account] } });
    while (goOn === null) await new Promise((resolve) => setTimeout(resolve, 20));
    await click(page, 'button', 'Show more');
    goOn();
    await rows(page, 61);
  });
});

test('a search has as many pages as it needs, and outlives a reload', async () => {
  const one = 'webhookCreate(input: $input) { webhook { id } errors { message } }';
  const ten = `mutation($input: WebhookCreateInput!) { ${Array.from({ length: 10 }, (_, number) => `w${number}: ${one}`).join(' ')} }`;
  for (let round = 0; round < 6; round++) await ask(ten, { input: { name: 'Sought after', callbackUrl: receiver.url, events: ['POST_DELETED'] } });
  await makeWebhook('In the way');
  const shown = (page, count) => page.waitForFunction((wanted) => document.querySelectorAll('tbody .row-link').length === wanted, {}, count);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks`);
    await fill(page, 'Find by name or URL', 'sought after');
    await page.waitForFunction(() => !document.querySelector('tbody')?.textContent.includes('In the way'));
    await shown(page, 50);
    await click(page, 'button', 'Show more');
    await shown(page, 60);
    assert.equal(await page.$$eval('tbody .row-link', (links) => new Set(links.map((link) => link.href)).size), 60);
    await page.reload();
    await shown(page, 60);
    assert.equal(await page.$eval('input[type=search]', (field) => field.value), 'sought after');
    await click(page, 'link', 'Webhooks');
    await page.waitForFunction(() => document.querySelector('input[type=search]').value === '' && document.querySelector('tbody')?.textContent.includes('In the way'));
  });
});

test('who comes back to a list that is read page by page finds as much of it open, and the row that they came from', async () => {
  const shown = (page, least) => page.waitForFunction((wanted) => document.querySelectorAll('tbody .row-link').length > wanted, {}, least);
  await using({}, async (page) => {
    for (const list of ['webhooks', 'posts']) {
      await visit(page, `${url}/${list}`);
      await shown(page, 49);
      await click(page, 'button', 'Show more');
      await shown(page, 50);
      const pathname = await page.$$eval('tbody .row-link', (links) => {
        links[50].focus();
        return links[50].pathname;
      });
      await page.keyboard.press('Enter');
      await page.waitForFunction((wanted) => location.pathname === wanted, {}, pathname);
      await page.goBack();
      await page.waitForFunction((wanted) => document.activeElement?.pathname === wanted && document.querySelectorAll('tbody .row-link').length > 50, {}, pathname);
    }
  });
});

test('that nothing was delivered yet is said of a whole workspace, and of no page and no search', async () => {
  const name = `Heard of nothing ${RUN}`;
  const one = 'webhookCreate(input: $input) { webhook { id } errors { message } }';
  const ten = `mutation($input: WebhookCreateInput!) { ${Array.from({ length: 10 }, (_, number) => `w${number}: ${one}`).join(' ')} }`;
  for (let round = 0; round < 5; round++) await ask(ten, { input: { name, callbackUrl: receiver.url, events: ['POST_DELETED'] } });
  await using({}, async (page) => {
    for (const address of ['/webhooks', `/webhooks?search=${encodeURIComponent(name)}`]) {
      await visit(page, url + address);
      await page.waitForFunction(() => document.querySelectorAll('tbody .row-link').length === 50);
      assert.doesNotMatch(await page.$eval('main', ({ textContent }) => textContent), /Nothing was delivered yet/);
    }
  });
});

test('the way back leads to the row that one came from, however far down the log it is', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(largeWebhook)}`);
    await page.waitForSelector('.rows .row');
    // Beyond the first page of 100.
    await page.waitForFunction(() => {
      window.scrollTo(0, 7_000);
      return window.scrollY === 7_000 && [...document.querySelectorAll('.rows .row')].some((row) => row.ariaRowIndex > 150);
    });
    const opened = await page.waitForFunction(() => {
      const link = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest('.row')?.querySelector('.row-link');
      link?.focus();
      return link?.pathname;
    });
    await page.keyboard.press('Enter');
    await reads(page, 'What happened', 'main');
    await page.goBack();
    await page.waitForFunction((pathname) => document.activeElement?.pathname === pathname && window.scrollY === 7_000, {}, await opened.jsonValue());
  });
});
