// Pages that stay open: what they say is true hours later.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { choose, click, losing, reads, visit } from '../browser.mjs';
import { makeWebhook, receiver, using } from '../stage.mjs';
import { addAccount, addPost, addWebhook, ask, delivered, path_, RUN, testEvent, url } from '../workspace.mjs';

const HOUR = 3_600_000;

/** A page whose clock can be moved, and whose timers of 10 s or more run 60 times as fast. */
const patiently = (body) =>
  using({}, async (page) => {
    await page.evaluateOnNewDocument(() => {
      const { now } = Date;
      globalThis.ahead = 0;
      Date.now = () => now() + globalThis.ahead;
      for (const name of ['setTimeout', 'setInterval']) {
        const real = globalThis[name];
        globalThis[name] = (call, ms, ...rest) => real(call, ms >= 10_000 ? ms / 60 : ms, ...rest);
      }
    });
    const pass = (ms) => page.evaluate((more) => (globalThis.ahead += more), ms);
    await body(page, pass);
  });

test('states and rates of webhooks are read again where nothing tells of them', async () => {
  const name = `Seen from afar ${RUN}`;
  const id = await makeWebhook(name);
  await patiently(async (page) => {
    let readings = 0;
    page.on('requestfinished', (request) => (readings += request.postData()?.includes('query Webhooks(') ? 1 : 0));
    await visit(page, `${url}/webhooks?search=${encodeURIComponent(name)}`);
    await reads(page, 'Active', 'tbody');
    // The page reads again when the live stream begins.
    while (readings < 2) await page.evaluate(() => new Promise(requestAnimationFrame));
    await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {active: false}) { errors { message } } }', { id });
    await reads(page, 'Inactive', 'tbody');
  });
});

test('a webhook that is switched off while one looks at it says so', async () => {
  const id = await makeWebhook('Goes for good', ['ACCOUNT_UPDATED']);
  const account = await addAccount(`Renamed ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'Live', '.live');
    receiver.answer.status = 410;
    try {
      await ask('mutation($id: ID!, $name: String!) { accountUpdate(id: $id, input: {name: $name}) { errors { message } } }', { id: account, name: `Renamed again ${RUN}` });
      await reads(page, 'the receiver answered 410 Gone', 'main > .notice');
    } finally {
      receiver.answer.status = 200;
    }
  });
});

test('a delivery that waits for its time no longer says so once its webhook is switched off, on its page and in the list', async () => {
  const server = createServer((_, response) => response.writeHead(503, { 'Retry-After': '3600' }).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const id = await addWebhook('Waits in vain', `http://127.0.0.1:${server.address().port}/`);
  const change = 'mutation($id: ID!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { errors { message } } }';
  await ask(change, { id, input: { maxAttempts: 2 } });
  await addAccount(`Waited for ${RUN}`);
  const { deliveries } = await ask('query($id: ID!) { deliveries(first: 1, filter: {webhookId: $id}) { nodes { id } } }', { id });
  const [waiting] = deliveries.nodes;
  await delivered(waiting.id, ['RETRYING']);
  server.close();
  await patiently(async (page) => {
    let readings = 0;
    page.on('requestfinished', (request) => (readings += request.postData()?.includes('query Delivery(') ? 1 : 0));
    await visit(page, `${url}/deliveries/${path_(waiting.id)}`);
    await reads(page, 'The receiver asked for a pause', '.notice');
    // The page reads again when the live stream begins.
    while (readings < 2) await page.evaluate(() => new Promise(requestAnimationFrame));
    await ask(change, { id, input: { active: false } });
    await reads(page, 'The webhook is not active', '.notice');
  });
  await ask(change, { id, input: { active: true } });
  await patiently(async (page) => {
    let readings = 0;
    page.on('requestfinished', (request) => (readings += request.postData()?.includes('query Deliveries(') ? 1 : 0));
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'The receiver asked for a pause', '.cell-took');
    while (readings < 2) await page.evaluate(() => new Promise(requestAnimationFrame));
    await ask(change, { id, input: { active: false } });
    await reads(page, 'The webhook is not active', '.cell-took');
  });
});

test('what a delivery waits for is read again however far down the list it is', async () => {
  let status = 503;
  const server = createServer((_, response) => response.writeHead(status, { 'Retry-After': '3600' }).end());
  await once(server.listen(0, '127.0.0.1').unref(), 'listening');
  const id = await addWebhook('Waits far down', `http://127.0.0.1:${server.address().port}/`);
  const change = 'mutation($id: ID!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { errors { message } } }';
  await ask(change, { id, input: { maxAttempts: 2 } });
  await addAccount(`Far down ${RUN}`);
  const { deliveries } = await ask('query($id: ID!) { deliveries(first: 1, filter: {webhookId: $id}) { nodes { id } } }', { id });
  await delivered(deliveries.nodes[0].id, ['RETRYING']);
  status = 200;
  const tests = Array.from({ length: 10 }, (_, number) => `t${number}: webhookTest(id: $id, eventType: POST_PUBLISHED) { errors { message } }`);
  for (let round = 0; round < 11; round++) await ask(`mutation($id: ID!) { ${tests.join(' ')} }`, { id });
  await patiently(async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await page.waitForFunction(() => {
      scrollTo(0, document.body.scrollHeight);
      return document.querySelector('.rows')?.textContent.includes('The receiver asked for a pause');
    });
    await ask(change, { id, input: { active: false } });
    await reads(page, 'The webhook is not active', '.rows');
  });
  server.close();
});

test('a post says where it is out already while another account still waits', async () => {
  // Takes any token, and answers every post with 429 until `isOpen`.
  let isOpen = false;
  const network = createServer(({ method, url: path }, response) => {
    if (method === 'POST' && !isOpen) return response.writeHead(429, { 'Retry-After': '5' }).end();
    const isList = method === 'GET' && path.includes('/statuses');
    const answer = isList ? [] : { id: RUN, username: 'limited' };
    return response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
  await once(network.listen(0, '127.0.0.1').unref(), 'listening');
  const server = `http://127.0.0.1:${network.address().port}`;
  const limited = await addAccount(`Limited ${RUN}`, { provider: 'MASTODON', server, credential: 'any' });
  const slow = await addAccount(`Slow ${RUN}`, { provider: 'SANDBOX', server: 'slow', identifier: `Slow ${RUN}` });
  const id = await addPost({ body: 'Out in one place', accountIds: [limited, slow] });
  await using({}, async (page) => {
    await visit(page, `${url}/posts/${path_(id)}`);
    await click(page, 'button', 'Publish now');
    await reads(page, 'Published', '.post-account:last-child');
    await reads(page, 'Pending', '.post-account:first-child');
    await reads(page, 'Publishing', '.page-head');
    isOpen = true;
    await reads(page, 'Published', '.page-head');
  });
  network.close();
});

test('the last 15 minutes go on being the last 15 minutes', async () => {
  const id = await makeWebhook('Grows old');
  await delivered(await testEvent(id));
  await patiently(async (page, pass) => {
    await visit(page, `${url}/webhooks/${path_(id)}?time=15m`);
    await reads(page, 'Succeeded', '.rows');
    await pass(HOUR / 2);
    await reads(page, 'Nothing matches this filter');
  });
});

test('the time of an attempt has its day once that is over', async () => {
  const id = await makeWebhook('Of yesterday');
  const sent = await testEvent(id);
  await delivered(sent);
  await patiently(async (page, pass) => {
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await reads(page, 'Delivered', '.timeline');
    await pass(24 * HOUR);
    await page.waitForFunction(() => [...document.querySelectorAll('.timeline time')].every((time) => time.textContent.includes(', ')));
  });
});

test('when a post goes out is told in hours up to two days, and not as past while it waits', async () => {
  const scheduledAt = new Date(Date.now() + 34.25 * HOUR).toISOString();
  const id = await addPost({ body: 'The day after tomorrow, it may be', accountIds: [await addAccount(`Patient ${RUN}`)], scheduledAt });
  await patiently(async (page, pass) => {
    await visit(page, `${url}/posts/${path_(id)}`);
    await reads(page, 'Goes out in 34 hours', '.notice');
    await pass(35 * HOUR);
    await reads(page, 'Goes out any moment now', '.notice');
  });
});

test('the figures of one span of time are never shown as those of another', async () => {
  const id = await makeWebhook('Counted in spans');
  await delivered(await testEvent(id));
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await page.waitForSelector('.chart[aria-busy=false]');
    const rows = () => page.$$eval('.as-table tbody th', (found) => found.map(({ textContent }) => textContent));
    const found = await losing(page, (body) => body.includes('query WebhookChart'));
    await choose(page, 'Time span', '30d');
    await reads(page, 'The figures cannot be read', '.chart');
    await found();
    await choose(page, 'Time span', '7d');
    await page.waitForFunction(() => document.querySelector('.as-table tbody th')?.textContent.includes(', '));
    assert.equal(new Set(await rows()).size, 24);
  });
});
