// One delivery, and sending again.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { changing, click, fill, losing, reads, visit } from '../browser.mjs';
import { makeWebhook, receiver, using } from '../stage.mjs';
import { addWebhook, ask, delivered, path_, SECRET, testEvent, url } from '../workspace.mjs';

test('the exact time is there where the pointer rests on a time, and a click there opens the row like any other', async () => {
  const id = await makeWebhook('Pointed at');
  const sent = await testEvent(id);
  await delivered(sent);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    // The row moves while the page loads, so one call finds both where the time is and what lies there.
    const title = await page.waitForFunction(() => {
      const { left, top, width, height } = document.querySelector('.rows .row time')?.getBoundingClientRect() ?? {};
      return left && document.elementFromPoint(left + width / 2, top + height / 2)?.title;
    });
    assert.match(await title.jsonValue(), /^\d\d \w+ \d{4}, \d\d:\d\d:\d\d \S+$/);
    await page.locator('.rows .row time').click();
    await reads(page, 'What happened');
    assert.equal(decodeURIComponent(new URL(page.url()).pathname), `/deliveries/${sent}`);
  });
});

test('a delivery page explains a failure, and sends again once the receiver is mended', async () => {
  const id = await makeWebhook('Broken for a while');
  // JSON.parse would change the large number, and forget one `a`.
  const body = '{"id":12345678901234567890,"a":1.0,"a":2,"none":[],"some":["}"]}';
  const well = { ...receiver.answer };
  Object.assign(receiver.answer, { status: 503, body });
  const failed = await testEvent(id);
  assert.equal(await delivered(failed), 'FAILED');
  Object.assign(receiver.answer, well);
  await using({}, async (page) => {
    await visit(page, `${url}/deliveries/${path_(failed)}`);
    await reads(page, 'Given up', '.timeline');
    await reads(page, '503', '.timeline');
    await reads(page, 'The receiver failed while it handled the request', '.timeline');
    const shown = await page.$eval('[aria-label="Response body"]', (block) => block.textContent);
    assert.equal(shown, '{\n  "id": 12345678901234567890,\n  "a": 1.0,\n  "a": 2,\n  "none": [],\n  "some": [\n    "}"\n  ]\n}');
    await click(page, 'button', 'Send again');
    await reads(page, 'an earlier delivery', '.facts');
    await reads(page, 'Delivered', '.timeline');
  });
});

test('of a body that broke off, never came or is no longer kept the page says just that', async () => {
  let begun = 'Half of';
  const server = createServer((socket) => socket.once('data', () => socket.end(`HTTP/1.1 500 Broken\r\nContent-Length: 99\r\n\r\n${begun}`)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const id = await addWebhook('Breaks off', `http://127.0.0.1:${server.address().port}/`);
  const half = await testEvent(id);
  await delivered(half);
  begun = '';
  const none = await testEvent(id);
  await delivered(none);
  server.close();
  await using({}, async (page) => {
    await visit(page, `${url}/deliveries/${path_(half)}`);
    await reads(page, 'Half of', '[aria-label="Response body"]');
    await reads(page, 'This is not all of it', '.timeline');
    await visit(page, `${url}/deliveries/${path_(none)}`);
    await reads(page, 'Nothing of the body came', '.timeline');
    // The API's answer once the days for which bodies are kept are over.
    await changing(page, 'query Delivery(', (answer) => answer.replace('"responseBody":"Half of"', '"responseBody":null'));
    await visit(page, `${url}/deliveries/${path_(half)}`);
    await reads(page, 'The body is no longer kept', '.timeline');
  });
});

test('the deliveries of a message are found by the webhook-id that its receiver has, and new ones of it join them', async () => {
  const id = await makeWebhook('Found in the log');
  const [sought, other] = [await testEvent(id), await testEvent(id)];
  await Promise.all([sought, other].map((delivery) => delivered(delivery)));
  const { delivery } = await ask('query($id: ID!) { delivery(id: $id) { event { uuid } } }', { id: sought });
  const shown = (page, ...ids) =>
    page.waitForFunction((wanted) => [...document.querySelectorAll('.rows .row-link')].map((link) => decodeURIComponent(link.pathname.split('/').at(-1))).join() === wanted, {}, ids.join());
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await shown(page, other, sought);
    await fill(page, 'Find by webhook-id', delivery.event.uuid);
    await shown(page, sought);
    await reads(page, 'Live', '.live');
    await testEvent(id);
    const { deliveryRetry } = await ask('mutation($id: ID!) { deliveryRetry(id: $id) { delivery { id } } }', { id: sought });
    await shown(page, deliveryRetry.delivery.id, sought);
    await page.reload();
    await shown(page, deliveryRetry.delivery.id, sought);
    await fill(page, 'Find by webhook-id', 'no webhook-id');
    await reads(page, 'Nothing matches this filter');
  });
});

/** The answer of a receiver that must not be tried again while the test looks. */
const PAUSED = { status: 503, headers: { 'Retry-After': '3600' } };
const MENDED = { status: 200, headers: {} };

test('a waiting delivery says why it waits, and can be cancelled', async () => {
  Object.assign(receiver.answer, PAUSED);
  const { webhookCreate } = await ask(
    `mutation($url: String!) { webhookCreate(input: {name: "Waits", callbackUrl: $url, events: [POST_DELETED], maxAttempts: 9}) { webhook { id } errors { message } } }`,
    { url: receiver.url },
  );
  const waiting = await testEvent(webhookCreate.webhook.id);
  await delivered(waiting, ['RETRYING']);
  Object.assign(receiver.answer, MENDED);
  await using({}, async (page) => {
    await visit(page, `${url}/deliveries/${path_(waiting)}`);
    await reads(page, 'The receiver asked for a pause', '.notice');
    await reads(page, 'Next attempt', '.notice');
    await click(page, 'button', 'Cancel');
    await reads(page, 'Cancelled', '.timeline');
  });
});

test('the page shows the body of every event as it went out, to the byte', async () => {
  const id = await makeWebhook('Every event');
  const { eventTypes } = await ask('query { eventTypes { type } }');
  for (const { type } of eventTypes) {
    const made = await ask(`mutation($id: ID!, $type: EventType!) { webhookTest(id: $id, eventType: $type) { delivery { id event { payload } } errors { message } } }`, { id, type });
    const { delivery } = made.webhookTest;
    await delivered(delivery.id);
    assert.equal(JSON.stringify(delivery.event.payload), receiver.requests.at(-1).body, type);
  }
});

test('the command that curl is given repeats the request to the byte, and each language finds the signature valid', async () => {
  const id = await makeWebhook('Copied');
  const sent = await testEvent(id);
  await delivered(sent);
  const original = receiver.requests.at(-1);
  await using({}, async (page) => {
    await page.browserContext().overridePermissions(url, ['clipboard-read', 'clipboard-sanitized-write']);
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await click(page, 'button', 'Copy as curl');
    await reads(page, 'Command copied', '.toasts');
    const command = await page.evaluate(() => navigator.clipboard.readText());
    // Not execFileSync: the receiver that must answer runs in this process.
    await promisify(execFile)('sh', ['-c', command]);
    const repeated = receiver.requests.at(-1);
    assert.notEqual(repeated, original);
    assert.equal(repeated.body, original.body);
    assert.equal(repeated.headers['x-signature'], original.headers['x-signature']);

    const run = { PHP: ['php'], Python: ['python3', '-'], Node: [process.execPath, '--input-type=module', '-'], Ruby: ['ruby', '-'] };
    for (const language of ['PHP', 'Python', 'Node', 'Go', 'Ruby']) {
      await click(page, 'tab', language);
      const code = await page.$eval(`[aria-label="${language} code"]`, (element) => element.textContent);
      assert.ok(code.includes(original.headers['x-signature']), language);
      if (language === 'PHP') await page.waitForSelector('::-p-aria([name="Copy PHP code"][role="button"])');
      const [program, ...rest] = run[language] ?? ['true'];
      if (language === 'Go' || spawnSync(program, ['--version']).error) continue;
      const said = execFileSync(program, rest, { input: code, env: { ...process.env, WEBHOOK_SECRET: SECRET }, encoding: 'utf8' });
      assert.equal(said.trim(), 'valid', language);
      const saidOfAnother = execFileSync(program, rest, { input: code, env: { ...process.env, WEBHOOK_SECRET: 'another' }, encoding: 'utf8' });
      assert.equal(saidOfAnother.trim(), 'not valid', language);
    }
    await fill(page, 'Try a secret on this signature', SECRET);
    await reads(page, 'It matches');
  });
});

test('what an attempt sent whose worker died is not made up, and the command is that of the one before it', async () => {
  const sent = await testEvent(await makeWebhook('Died on the way'));
  await delivered(sent);
  const original = receiver.requests.at(-1);
  await using({}, async (page) => {
    await page.browserContext().overridePermissions(url, ['clipboard-read', 'clipboard-sanitized-write']);
    await changing(page, 'query Delivery(', (text) => {
      const answer = JSON.parse(text);
      const { attempts } = answer.data.delivery;
      attempts.push({ ...attempts[0], id: 'another', number: 2, outcome: 'INTERRUPTED', requestHeaders: [], responseStatus: null });
      return JSON.stringify(answer);
    });
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await reads(page, 'Interrupted', '.timeline');
    await page.locator('details[open] [role=tab]:last-child').click();
    await reads(page, 'Its headers are not known', '.timeline');
    await click(page, 'button', 'Copy as curl');
    await reads(page, 'Command copied', '.toasts');
    assert.ok((await page.evaluate(() => navigator.clipboard.readText())).includes(original.headers['x-signature']));
    assert.equal((await page.$$eval('.timeline button', (found) => found.filter(({ textContent }) => textContent === 'Copy as curl'))).length, 0);
  });
});

test('a replay shows how far it has come', async () => {
  const id = await makeWebhook('Replayed');
  receiver.answer.status = 500;
  for (const delivery of [await testEvent(id), await testEvent(id), await testEvent(id)]) assert.equal(await delivered(delivery), 'FAILED');
  receiver.answer.status = 200;
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Replay');
    await reads(page, '3 deliveries match', 'dialog');
    await page.locator('dialog button[type=submit]').click();
    await reads(page, 'Replayed 3 deliveries', '.notice');
    await page.waitForFunction(() => document.querySelectorAll('.rows .tone-good').length === 3);
  });
});

test('a replay counts what is chosen now, and says where that cannot be told', async () => {
  const id = await makeWebhook('Counted before');
  await delivered(await testEvent(id));
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Replay');
    await reads(page, '0 deliveries match', 'dialog');
    const said = () => page.$eval('dialog [role=status]', ({ textContent }) => textContent);
    const wire = await page.createCDPSession();
    await wire.send('Fetch.enable', { patterns: [{ urlPattern: '*/graphql' }] });
    const asked = new Promise((resolve) => wire.once('Fetch.requestPaused', resolve));
    await click(page, 'checkbox', 'Succeeded');
    const { requestId } = await asked;
    assert.equal(await said(), 'Counting…');
    await wire.send('Fetch.continueRequest', { requestId });
    await wire.detach();
    await reads(page, '1 delivery matches', 'dialog');
    const found = await losing(page, (body) => body.includes('query DeliveriesCount'));
    await click(page, 'checkbox', 'Cancelled');
    await reads(page, 'cannot be counted', 'dialog');
    await found();
  });
});

test('a row is opened in another tab from wherever it is clicked', async () => {
  const id = await makeWebhook('Beside each other');
  const sent = await testEvent(id);
  await delivered(sent);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    const time = await page.waitForSelector('.rows .row time');
    const context = page.browserContext();
    const isOpen = (target) => target.url().endsWith(`/deliveries/${path_(sent)}`);
    const opened = (count) => context.waitForTarget(() => context.targets().filter(isOpen).length === count);
    await page.keyboard.down('Control');
    await time.click();
    await page.keyboard.up('Control');
    await opened(1);
    await page.bringToFront();
    await time.click({ button: 'middle' });
    await opened(2);
    assert.equal(new URL(page.url()).pathname, `/webhooks/${path_(id)}`);
  });
});

test('an attempt that is being read stays open when the next one comes', async () => {
  const id = await makeWebhook('Tries twice');
  await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {maxAttempts: 2}) { errors { message } } }', { id });
  Object.assign(receiver.answer, PAUSED);
  try {
    const waiting = await testEvent(id);
    await delivered(waiting, ['RETRYING']);
    await using({}, async (page) => {
      await visit(page, `${url}/deliveries/${path_(waiting)}`);
      await page.waitForSelector('.timeline details[open]');
      // Another URL means another receiver, which has not asked for a pause, so the delivery is due at once.
      await ask('mutation($id: ID!, $url: String!) { webhookUpdate(id: $id, input: {callbackUrl: $url}) { errors { message } } }', { id, url: `${receiver.url}?again` });
      await reads(page, 'Given up', '.timeline');
      assert.deepEqual(await page.$$eval('.timeline details', (attempts) => attempts.map(({ open }) => open)), [true, true]);
    });
  } finally {
    Object.assign(receiver.answer, MENDED);
  }
});
