// The dashboard as people use it, in a real browser on the real system. Started by test_dashboard.py, which says where it is.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { audit, choose, click, clipped, fill, go, inPage, launch, line, openPage, reads, receive, tabTo, told, visit } from './browser.mjs';
import { addAccount, addWebhook, ask, delivered, path_, RUN, SECRET, testEvent, token, url } from './workspace.mjs';

const { WORKER_PID: worker, LARGE_WEBHOOK: largeWebhook, REDIS_URL: redisUrl, PYTHON: python, SCREENSHOTS: screenshots } = process.env;
const DASHBOARD_PAGE = fileURLToPath(new URL('../../docs/dashboard.md', import.meta.url));

let browser;
let receiver;

before(async () => {
  browser = await launch();
  receiver = await receive();
  if (screenshots) await mkdir(screenshots, { recursive: true });
});

after(async () => {
  receiver?.close();
  await browser?.close();
});

const using = (options, body) => inPage(browser, { token, ...options }, body);

/** The same on a line that can be cut. What the cut itself makes the browser write is expected, and nothing else. */
async function usingLine(body) {
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

const makeWebhook = (name, ...rest) => addWebhook(name, receiver.url, ...rest);

/** The rows of the log as [event, status]. */
const rows = (page) =>
  page.$$eval('.rows .row', (found) => found.map((row) => [row.querySelector('.row-link').textContent, row.querySelector('.badge').textContent]));

test('the five steps of the documentation end with a delivery that turns from pending to succeeded without a reload', async () => {
  const steps = [...(await readFile(DASHBOARD_PAGE, 'utf8')).matchAll(/^(\d)\. (.+)$/gm)].map(([, , step]) => step);
  assert.deepEqual(steps.slice(0, 5), [
    'Enter the workspace.',
    'Click **Webhooks** in the side bar.',
    'Click **Create Webhook**.',
    'Fill in the form: **Details** (Name, Callback URL, Method, Content-Type, Max attempts, Status), **Security** (Secret) and **Events**.',
    'Click **Create**.',
  ]);
  await using({ token: null }, async (page) => {
    await visit(page, `${url}/`);
    await fill(page, 'Token', token);
    await click(page, 'button', 'Sign in');
    await click(page, 'link', 'Webhooks');
    await click(page, 'link', 'Create Webhook');
    await reads(page, 'Create Webhook', 'h1');
    await fill(page, 'Name', 'Five steps');
    await fill(page, 'Callback URL', receiver.url);
    await choose(page, 'Method', 'POST');
    await choose(page, 'Content-Type', 'JSON');
    await fill(page, 'Max attempts', '3');
    await choose(page, 'Status', 'yes');
    await fill(page, 'Secret', SECRET);
    for (const event of ['ACCOUNT_ADDED', 'POST_PUBLISHED']) await page.locator(`input[value=${event}]`).click();
    await click(page, 'button', 'Create');
    await reads(page, 'Five steps', 'h1');
    await reads(page, SECRET, '.secret-once');
    await click(page, 'button', 'I have stored it');
    await reads(page, 'Live', '.live');
    await page.evaluate(() => {
      globalThis.isTheSamePage = true;
    });

    // A worker that stands still leaves the delivery pending for as long as the test looks at it.
    process.kill(Number(worker), 'SIGSTOP');
    try {
      await addAccount(`Five steps ${RUN}`);
      await reads(page, 'Pending', '.rows');
      assert.deepEqual(await rows(page), [['Account Added', 'Pending']]);
    } finally {
      process.kill(Number(worker), 'SIGCONT');
    }
    await reads(page, 'Succeeded', '.rows');
    assert.deepEqual(await rows(page), [['Account Added', 'Succeeded']]);
    assert.equal(await page.evaluate(() => globalThis.isTheSamePage), true);
    assert.equal(receiver.requests.at(-1).headers['x-hookline-event'], 'account.added');
  });
});

test('a form that is sent empty says beside each field what is missing, and takes the keyboard there', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    await click(page, 'button', 'Create');
    await page.waitForSelector('.field-error');
    const wrong = await page.$$eval('[aria-invalid=true]', (fields) => fields.map((field) => field.labels?.[0]?.textContent ?? field.querySelector('legend').textContent));
    assert.deepEqual(wrong, ['Name', 'Callback URL', 'Events']);
    await page.waitForFunction(() => document.activeElement?.labels?.[0]?.textContent === 'Name');
  });
});

test('a dropped connection says so, resumes and misses nothing', async () => {
  const id = await makeWebhook('Cut off');
  await usingLine(async (page, wire) => {
    await visit(page, `${wire.url}/webhooks/${path_(id)}`);
    await reads(page, 'Live', '.live');
    await testEvent(id);
    await reads(page, 'Succeeded', '.rows');

    wire.cut();
    await reads(page, 'Disconnected', '.live');
    const missed = [await testEvent(id), await testEvent(id), await testEvent(id)];
    for (const delivery of missed) await delivered(delivery);
    assert.equal((await rows(page)).length, 1);

    wire.mend();
    await reads(page, 'Resumed, nothing was missed', '.live');
    await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 4);
    assert.deepEqual(await rows(page), Array(4).fill(['Post Published', 'Succeeded']));
  });
});

test('a stream that Redis lost makes the page read everything again and say so', async () => {
  const id = await makeWebhook('Forgotten');
  await usingLine(async (page, wire) => {
    await visit(page, `${wire.url}/webhooks/${path_(id)}`);
    await reads(page, 'Live', '.live');
    await testEvent(id);
    await reads(page, 'Succeeded', '.rows');
    wire.cut();
    await reads(page, 'Disconnected', '.live');
    await delivered(await testEvent(id));
    execFileSync(python, ['-c', 'import sys, redis; redis.Redis.from_url(sys.argv[1]).flushall()', redisUrl]);
    await delivered(await testEvent(id));
    wire.mend();
    await reads(page, 'the list was read again', '.live');
    await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 3);
    assert.deepEqual(await rows(page), Array(3).fill(['Post Published', 'Succeeded']));
  });
});

test('a server that cannot be reached is said where it was asked, in a dialog too, and is asked again at a click', async () => {
  const id = await makeWebhook('Out of reach');
  await usingLine(async (page, wire) => {
    await visit(page, `${wire.url}/webhooks/${path_(id)}`);
    await reads(page, 'Live', '.live');
    await click(page, 'button', 'Delete');
    wire.cut();
    await click(page, 'button', 'Delete the webhook');
    await reads(page, 'The server cannot be reached', 'dialog [role=alert]');
    await click(page, 'button', 'Keep it');
    await click(page, 'link', 'Accounts');
    await reads(page, 'The server cannot be reached', 'main [role=alert]');
    wire.mend();
    await click(page, 'button', 'Try again');
    await reads(page, 'Sandbox', 'table');
  });
});

test('a page that breaks says so and leaves the others usable', async () => {
  const id = await makeWebhook('Broken page');
  await usingLine(async (page) => {
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      const isIt = request.url().endsWith('/graphql') && request.postData()?.includes('query Webhook(');
      if (isIt) return request.respond({ contentType: 'application/json', body: '{"data": {"webhook": {"id": "1", "name": "Half", "headers": []}}}' });
      return request.continue();
    });
    // Its heading may be gone before anybody sees it.
    await go(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'This page has a fault');
    page.faults.length = 0;
    await click(page, 'link', 'Accounts');
    await reads(page, 'Sandbox', 'table');
  });
});

test('the exact time is there where the pointer rests on a time, and a click there opens the row like any other', async () => {
  const id = await makeWebhook('Pointed at');
  const sent = await testEvent(id);
  await delivered(sent);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    // The row moves as the page around it comes: where the time is, and what lies there, are asked in one go.
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

test('a webhook is made by keyboard alone', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks`);
    await reads(page, 'Live', '.live');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await tabTo(page, 'Create Webhook');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.activeElement?.tagName === 'H1' && document.activeElement.textContent === 'Create Webhook');
    await tabTo(page, 'Name');
    await page.keyboard.type('By keyboard');
    await tabTo(page, 'Callback URL');
    await page.keyboard.type(receiver.url);
    await tabTo(page, 'Generate');
    await page.keyboard.press('Space');
    await page.waitForFunction(() => [...document.querySelectorAll('input')].some((input) => input.value.startsWith('whsec_')));
    await tabTo(page, 'Select all');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Create');
    await page.keyboard.press('Enter');
    await reads(page, 'By keyboard', 'h1');
    await reads(page, 'whsec_', '.secret-once');
  });
});

test('a test event is sent from the page and seen to arrive', async () => {
  const id = await makeWebhook('Tried out');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Send a test event');
    await choose(page, 'Event', 'POST_DELETED');
    await click(page, 'button', 'Send');
    await reads(page, 'Answered 200', '.arrival');
    assert.equal(JSON.parse(receiver.requests.at(-1).body).event, 'post.deleted');
  });
});

test('a delivery page explains a failure, and sends again once the receiver is mended', async () => {
  const id = await makeWebhook('Broken for a while');
  // What a browser would make another number of, and forget one of.
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
    await reads(page, 'The receiver broke while it handled the request', '.timeline');
    const shown = await page.$eval('[aria-label="Response body"]', (block) => block.textContent);
    assert.equal(shown, '{\n  "id": 12345678901234567890,\n  "a": 1.0,\n  "a": 2,\n  "none": [],\n  "some": [\n    "}"\n  ]\n}');
    await click(page, 'button', 'Send again');
    await reads(page, 'an earlier delivery', '.facts');
    await reads(page, 'Delivered', '.timeline');
  });
});

test('a waiting delivery says why it waits, and can be cancelled', async () => {
  receiver.answer.status = 500;
  const { webhookCreate } = await ask(
    `mutation($url: String!) { webhookCreate(input: {name: "Waits", callbackUrl: $url, events: [POST_DELETED], maxAttempts: 9}) { webhook { id } errors { message } } }`,
    { url: receiver.url },
  );
  const waiting = await testEvent(webhookCreate.webhook.id);
  await delivered(waiting, ['RETRYING']);
  receiver.answer.status = 200;
  await using({}, async (page) => {
    await visit(page, `${url}/deliveries/${path_(waiting)}`);
    await reads(page, 'Waiting to try again', '.notice');
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
    // Not the synchronous one: the receiver that answers it lives in this process.
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

test('a post is written for two accounts, counted, published and watched as it goes out', async () => {
  const [one, other] = [await addAccount(`First ${RUN}`), await addAccount(`Second ${RUN}`)];
  assert.ok(one && other);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Hello, two accounts');
    for (const name of [`First ${RUN} Sandbox`, `Second ${RUN} Sandbox`]) await click(page, 'checkbox', name);
    await reads(page, '19 / ', '.counter');
    assert.deepEqual(await audit(page), []);
    await click(page, 'button', 'Publish now');
    await reads(page, 'Published', '.page-title');
    await page.waitForFunction(() => document.querySelectorAll('.post-accounts .tone-good').length === 2);
  });
});

test('a scheduled post is shown with its year, and keeps its time to the second where only its text is edited', async () => {
  const account = await addAccount(`Planned ${RUN}`);
  const year = new Date().getFullYear() + 2;
  const scheduledAt = `${year}-06-05T10:00:45Z`;
  const input = { body: 'Not yet edited', accountIds: [account], scheduledAt };
  const { post } = (await ask('mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } } }', { input })).postCreate;
  await using({}, async (page) => {
    await visit(page, `${url}/posts`);
    await reads(page, `Jun ${year}, `, 'main');
    await visit(page, `${url}/posts/${path_(post.id)}`);
    await click(page, 'button', 'Edit');
    await fill(page, 'Text', 'Edited');
    await click(page, 'button', 'Schedule');
    await reads(page, 'Edited', '.post-text');
    const { node } = await ask('query($id: ID!) { node(id: $id) { ... on Post { body scheduledAt } } }', { id: post.id });
    assert.deepEqual([node.body, Date.parse(node.scheduledAt)], ['Edited', Date.parse(scheduledAt)]);
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
    await reads(page, '3 deliveries fit', 'dialog');
    await page.locator('dialog button[type=submit]').click();
    await reads(page, 'Replayed 3 deliveries', '.notice');
    await page.waitForFunction(() => document.querySelectorAll('.rows .tone-good').length === 3);
  });
});

test('a secret is rotated, shown once and gone after a reload', async () => {
  const id = await makeWebhook('Rotated');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Rotate the secret');
    await click(page, 'button', 'Rotate');
    await reads(page, 'whsec_', '.secret-once');
    await page.reload({ waitUntil: 'networkidle2' });
    assert.equal(await page.$('.secret-once'), null);
    const sent = await testEvent(id);
    await delivered(sent);
    // Both secrets sign while the rotation overlaps.
    assert.equal(receiver.requests.at(-1).headers['webhook-signature'].split(' ').length, 2);
    assert.ok(receiver.requests.at(-1).headers['x-signature-previous']);
  });
});

test('signing stops only after a question', async () => {
  const id = await makeWebhook('Signed no more');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Rotate the secret');
    await click(page, 'button', 'Stop signing');
    await reads(page, 'Stop signing?', 'dialog h2');
    await page.locator('dialog .button-danger').click();
    await reads(page, 'Not signed', '.facts');
  });
});

test('a webhook is edited and keeps what is hidden, and is deleted only after a question', async () => {
  const id = await makeWebhook('Before');
  await ask(`mutation($id: ID!) { webhookUpdate(id: $id, input: {headers: [{name: "X-Api-Key", value: "kept"}, {name: "X-Team", value: "red"}]}) { errors { message } } }`, { id });
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'link', 'Edit');
    await page.waitForFunction(() => document.querySelector('form input')?.value === 'Before');
    await fill(page, 'Name', 'Afterwards');
    await page.locator('input[value="red"]').fill('blue');
    await click(page, 'button', 'Save');
    await reads(page, 'Afterwards', 'h1');
    await delivered(await testEvent(id));
    const { headers } = receiver.requests.at(-1);
    assert.deepEqual([headers['x-api-key'], headers['x-team']], ['kept', 'blue']);
    await click(page, 'button', 'Delete');
    await click(page, 'button', 'Keep it');
    await click(page, 'button', 'Delete');
    await click(page, 'button', 'Delete the webhook');
    await reads(page, 'Webhooks', 'h1');
    const { webhook } = await ask(`query($id: ID!) { webhook(id: $id) { id } }`, { id });
    assert.equal(webhook, null);
  });
});

test('a form saves what was changed in it, and reverts nothing that was changed elsewhere while it was open', async () => {
  const id = await makeWebhook('Read long ago');
  const account = await addAccount(`Read long ago ${RUN}`);
  const [soon, later] = [2, 3].map((years) => `${new Date().getFullYear() + years}-06-05T10:00:45Z`);
  const input = { body: 'Read long ago', accountIds: [account], scheduledAt: soon };
  const { post } = (await ask('mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } } }', { input })).postCreate;
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'link', 'Edit');
    await page.waitForFunction(() => document.querySelector('form input')?.value === 'Read long ago');
    await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {maxAttempts: 7, headers: [{name: "X-Team", value: "red"}]}) { errors { message } } }', { id });
    await fill(page, 'Name', 'Named anew');
    await click(page, 'button', 'Save');
    await reads(page, 'Named anew', 'h1');
    const { webhook } = await ask('query($id: ID!) { webhook(id: $id) { name maxAttempts headers { name value } } }', { id });
    assert.deepEqual(webhook, { name: 'Named anew', maxAttempts: 7, headers: [{ name: 'X-Team', value: 'red' }] });

    await visit(page, `${url}/posts/${path_(post.id)}`);
    await click(page, 'button', 'Edit');
    await page.waitForFunction(() => document.querySelector('form textarea')?.value === 'Read long ago');
    await ask('mutation($id: ID!, $time: DateTime!) { postSchedule(id: $id, scheduledAt: $time) { errors { message } } }', { id: post.id, time: later });
    await fill(page, 'Text', 'Written anew');
    await click(page, 'button', 'Schedule');
    await reads(page, 'Written anew', '.post-text');
    const { node } = await ask('query($id: ID!) { node(id: $id) { ... on Post { body scheduledAt } } }', { id: post.id });
    assert.deepEqual([node.body, Date.parse(node.scheduledAt)], ['Written anew', Date.parse(later)]);
  });
});

test('a time that is half filled in publishes nothing and replays nothing', async () => {
  await addAccount(`Half a time ${RUN}`);
  const hook = await makeWebhook('Half a time');
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Not before its time');
    await page.locator('.account-choice input').click();
    await page.focus('input[name=scheduledAt]');
    await page.keyboard.type('12252040');
    await click(page, 'button', 'Publish now');
    await reads(page, 'Complete the date and the time', '.field-error');
    assert.equal(await page.evaluate(() => document.activeElement.name), 'scheduledAt');
    const { posts } = await ask('{ posts(first: 1) { nodes { body } } }');
    assert.notEqual(posts.nodes[0]?.body, 'Not before its time');
    await click(page, 'button', 'Cancel');
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await click(page, 'button', 'Replay');
    await page.focus('input[name=until]');
    await page.keyboard.type('01012020');
    await page.locator('dialog .button-primary').click();
    await reads(page, 'Complete the date and the time', 'dialog .field-error');
  });
});

test('what was typed into a new post is there after another page, a reload and a new sign-in, and gone once it is saved', async () => {
  await addAccount(`Precious ${RUN}`);
  const isThere = (page) => page.waitForFunction(() => document.querySelector('form textarea')?.value === 'Precious words');
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Precious words');
    await click(page, 'link', 'Accounts');
    await reads(page, 'Sandbox', 'table');
    await visit(page, `${url}/posts/new`);
    await isThere(page);
    await page.setRequestInterception(true);
    const refuse = (request) => request.respond({ status: 401, contentType: 'application/json', body: '{"errors":[{"message":"No","extensions":{"code":"UNAUTHENTICATED"}}]}' });
    page.on('request', refuse);
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'no longer accepts this token');
    page.off('request', refuse);
    await page.setRequestInterception(false);
    await fill(page, 'Token', token);
    await click(page, 'button', 'Sign in');
    await isThere(page);
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'Precious words', '.post-text');
    await visit(page, `${url}/posts/new`);
    await page.waitForSelector('form textarea');
    assert.equal(await page.$eval('form textarea', (field) => field.value), '');
    page.faults = page.faults.filter((fault) => !fault.includes('status of 401'));
  });
});

test('a new post whose answer got lost is there once after a reload, and says what it was changed to since', async () => {
  await addAccount(`Unanswered ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Said at first');
    await page.setRequestInterception(true);
    const lose = async (request) => {
      if (!request.postData()?.includes('PostCreate')) return request.continue();
      await fetch(request.url(), { method: 'POST', headers: request.headers(), body: request.postData() });
      await request.abort();
    };
    page.on('request', lose);
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'The server cannot be reached', 'form');
    page.off('request', lose);
    await page.setRequestInterception(false);
    page.faults.length = 0;
    await page.reload();
    await page.waitForFunction(() => document.querySelector('form textarea')?.value === 'Said at first');
    await fill(page, 'Text', 'Said at last');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'Said at last', '.post-text');
    const { posts } = await ask('{ posts(first: 2) { nodes { body } } }');
    assert.deepEqual(posts.nodes.map(({ body }) => body.startsWith('Said')), [true, false]);
  });
});

test('a reading that fails takes away neither the list nor the form that is being written in', async () => {
  const account = await addAccount(`Background ${RUN}`);
  const input = { body: 'In the background', accountIds: [account] };
  const { post } = (await ask('mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } } }', { input })).postCreate;
  await using({}, async (page) => {
    let isCut = false;
    await page.setRequestInterception(true);
    page.on('request', (request) => (isCut && request.method() === 'POST' ? request.abort() : request.continue()));
    await visit(page, `${url}/posts`);
    await reads(page, 'Live', '.live');
    isCut = true;
    await ask('mutation($id: ID!, $time: DateTime!) { postSchedule(id: $id, scheduledAt: $time) { errors { message } } }', { id: post.id, time: `${new Date().getFullYear() + 2}-06-05T10:00:00Z` });
    await reads(page, 'The server cannot be reached', 'main [role=alert]');
    await reads(page, 'In the background', 'table');
    isCut = false;
    await click(page, 'button', 'Try again');
    await page.waitForFunction(() => !document.querySelector('main [role=alert]'));
    await click(page, 'link', 'In the background');
    await reads(page, 'Live', '.live');
    await click(page, 'button', 'Edit');
    await fill(page, 'Text', 'In the foreground');
    isCut = true;
    await ask('mutation($id: ID!) { postUpdate(id: $id, input: {scheduledAt: null}) { errors { message } } }', { id: post.id });
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await page.$eval('form textarea', (field) => field.value), 'In the foreground');
    page.faults.length = 0;
  });
});

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

test('a token that the server does not know gets a clear page and is not kept', async () => {
  const page = await openPage(browser, { token: 'hl_nonsense' });
  await visit(page, `${url}/webhooks`);
  await reads(page, 'You have been signed out');
  assert.equal(await page.evaluate(() => sessionStorage.getItem('hookline.token')), null);
  await fill(page, 'Token', 'hl_more_nonsense');
  await click(page, 'button', 'Sign in');
  await reads(page, 'The server does not know this token');
  await page.browserContext().close();
});

test('a token that may only read is offered nothing else, and loses the page when it is revoked', async () => {
  const { tokenCreate } = await ask(`mutation { tokenCreate(input: {name: "Reader", role: VIEWER}) { token { id } secret errors { message } } }`);
  const id = await makeWebhook('Only read');
  const page = await openPage(browser, { token: tokenCreate.secret });
  await visit(page, `${url}/webhooks`);
  await reads(page, 'Only read', 'table');
  assert.ok(!(await page.$eval('main', (element) => element.textContent)).includes('Create Webhook'));
  await visit(page, `${url}/webhooks/${path_(id)}`);
  await reads(page, 'Live', '.live');
  assert.equal(await page.$('.page-head .button'), null);
  assert.deepEqual(page.faults, []);
  await ask(`mutation($id: ID!) { tokenRevoke(id: $id) { errors { message } } }`, { id: tokenCreate.token.id });
  await reads(page, 'You have been signed out');
  await page.browserContext().close();
});

test('GraphiQL runs a subscription with no network but ours', async () => {
  const id = await makeWebhook('Watched in GraphiQL');
  await using({}, async (page) => {
    await visit(page, `${url}/graphiql`, 'networkidle0');
    await click(page, 'tab', 'WatchDeliveries');
    // GraphiQL notices a change of tabs a tenth of a second later; until then it would run the other tab's operation.
    await page.waitForFunction(() => localStorage.getItem('graphiql:query')?.includes('deliveryStatusChanged'));
    await page.locator('.graphiql-execute-button').click();
    // There is nothing on the page that says that the server has taken the subscription: events are sent until one is seen.
    for (let tries = 0; tries < 60; tries += 1) {
      await delivered(await testEvent(id));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const text = await page.$eval('.graphiql-response', (element) => element.textContent);
      if (text.includes('SUCCEEDED')) return;
    }
    assert.fail(`No change arrived: ${await page.$eval('.graphiql-response', (element) => element.textContent)}`);
  });
});

/** Types into an editor of GraphiQL in place of what stands there, and waits until GraphiQL has noticed. */
async function write(page, editor, text, kept) {
  await page.locator(editor).click();
  await page.keyboard.down('Control');
  await page.keyboard.press('a');
  await page.keyboard.up('Control');
  await page.keyboard.sendCharacter(text);
  await page.waitForFunction((key, wanted) => localStorage.getItem(key)?.includes(wanted), {}, kept, text);
}

test('GraphiQL subscribes with the token under Headers, and says at once where it is wrong', async () => {
  await delivered(await testEvent(await makeWebhook('Watched by a token under Headers')));
  const page = await openPage(browser, { token: 'hl_nonsense' });
  await go(page, `${url}/graphiql`, 'networkidle0');
  await write(page, '.graphiql-query-editor .monaco-editor', 'subscription { deliveryStatusChanged(after: "0") { status } }', 'graphiql:query');
  await page.locator('.graphiql-execute-button').click();
  await reads(page, '4403', '.graphiql-response');
  await click(page, 'button', 'Headers');
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor').click();
  await page.keyboard.sendCharacter(JSON.stringify({ Authorization: `Bearer ${token}` }));
  // GraphiQL reads its editors a tenth of a second later, and keeps no headers where one could see that it has.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await page.locator('.graphiql-execute-button').click();
  await reads(page, 'deliveryStatusChanged', '.graphiql-response');
  await page.browserContext().close();
});

/** GraphiQL's own tabs have their closing button inside of them, and its parts lie outside of regions. */
const OF_GRAPHIQL = /^serious nested-interactive: \.graphiql-tab|^moderate region: ul/;

test('every page passes axe-core, fits its window and breaks no policy, in both themes, on a phone, a tablet and a wide screen', async () => {
  const first = async (field, fields) => (await ask(`query { ${field}(first: 50) { nodes { id ${fields} } } }`))[field].nodes;
  const webhooks = await first('webhooks', 'name');
  const of = (name) => path_(webhooks.find((webhook) => webhook.name === name).id);
  const delivery = async (status) => {
    const found = await ask(`query($of: [DeliveryStatus!]) { deliveries(first: 1, filter: {statuses: $of}) { nodes { id } } }`, { of: [status] });
    return path_(found.deliveries.nodes[0].id);
  };
  const [post] = await first('posts', '');
  await addAccount(`${'long'.repeat(45)} ${RUN}`);
  const pages = {
    webhooks: '/webhooks',
    create: '/webhooks/new',
    webhook: `/webhooks/${path_(largeWebhook)}`,
    replayed: `/webhooks/${of('Replayed')}`,
    edit: `/webhooks/${of('Replayed')}/edit`,
    deliveries: '/deliveries',
    succeeded: `/deliveries/${await delivery('SUCCEEDED')}`,
    failed: `/deliveries/${await delivery('FAILED')}`,
    cancelled: `/deliveries/${await delivery('CANCELLED')}`,
    accounts: '/accounts',
    posts: '/posts',
    compose: '/posts/new',
    post: `/posts/${path_(post.id)}`,
    nowhere: '/nowhere',
    graphiql: '/graphiql/',
  };
  const looks = { light: {}, dark: { dark: true }, tablet: { width: 820, height: 1100 }, phone: { width: 390, height: 844 }, wide: { width: 1440, height: 900 } };
  const found = [];
  const judge = async (page, name, address, look) => {
    await visit(page, url + address, 'networkidle0');
    // What axe-core judges does not depend on the width; what fits does.
    if (look !== 'wide') found.push(...(await audit(page)).filter((violation) => !OF_GRAPHIQL.test(violation)).map((violation) => `${name}, ${look}: ${violation}`));
    found.push(...(await clipped(page)).map((element) => `${name}, ${look}: ${element} hides a part of itself`));
    const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (width > 0) found.push(`${name}, ${look}: ${width} px too wide`);
    if (screenshots) await page.screenshot({ path: path.join(screenshots, `${name}-${look}.png`) });
  };
  // All looks at once, each in a tab of its own: most of it is waiting for pages to come to rest.
  const tabs = Object.entries(looks).map(async ([look, options]) => {
    await using({ ...options, token: null }, (page) => judge(page, 'signin', '/signin', look));
    await using(options, async (page) => {
      for (const [name, address] of Object.entries(pages)) await judge(page, name, address, look);
    });
  });
  await Promise.all(tabs);
  assert.deepEqual(found, []);
});

test('a press beside a dialog closes it, and a selection that ends out there does not', async () => {
  const id = await makeWebhook('Selected');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Rotate the secret');
    await fill(page, 'New secret', 'a secret of my own');
    const { x, y, width, height } = await (await page.$('dialog input')).boundingBox();
    await page.mouse.move(x + width - 5, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(5, y + height / 2, { steps: 5 });
    await page.mouse.up();
    assert.equal(await page.$eval('dialog input', (input) => input.value), 'a secret of my own');
    await page.mouse.click(5, y);
    await page.waitForSelector('dialog', { hidden: true });
  });
});

test('nothing moves by itself where motion is not wanted', async () => {
  const endless = (page) => page.evaluate(() => document.getAnimations().filter(({ effect }) => effect.getTiming().iterations === Infinity).length);
  for (const still of [false, true]) {
    await using({ still }, async (page) => {
      await page.setRequestInterception(true);
      // Without an answer the page goes on turning its wheel.
      page.on('request', (request) => (request.url().endsWith('/graphql') && request.method() === 'POST' ? undefined : request.continue()));
      await go(page, `${url}/webhooks`);
      await page.waitForSelector('.spinner');
      assert.equal((await endless(page)) > 0, !still);
    });
  }
});

test('dialogs pass axe-core, hold the keyboard and give it back', async () => {
  const id = await makeWebhook('Dialogs');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    for (const [button, title] of [
      ['Send a test event', 'Send a test event'],
      ['Replay', 'Replay deliveries'],
      ['Rotate the secret', 'Rotate the secret'],
      ['Delete', 'Delete Dialogs?'],
    ]) {
      await click(page, 'button', button);
      await reads(page, title, 'dialog h2');
      assert.deepEqual(await audit(page), []);
      if (screenshots) await page.screenshot({ path: path.join(screenshots, `dialog-${button.split(' ')[0].toLowerCase()}.png`) });
      await page.keyboard.press('Escape');
      await page.waitForSelector('dialog', { hidden: true });
      const focused = await page.evaluate(() => document.activeElement.textContent);
      assert.equal(focused, button);
    }
  });
});

// Last, for it leaves more webhooks behind than one page shows.
test('a search has as many pages as it needs, and outlives a reload', async () => {
  const one = 'webhookCreate(input: $input) { webhook { id } errors { message } }';
  const ten = `mutation($input: WebhookCreateInput!) { ${Array.from({ length: 10 }, (_, number) => `w${number}: ${one}`).join(' ')} }`;
  for (let round = 0; round < 6; round++) await ask(ten, { input: { name: 'Sought after', callbackUrl: receiver.url, events: ['POST_DELETED'] } });
  await makeWebhook('In the way');
  const shown = (page, count) => page.waitForFunction((wanted) => document.querySelectorAll('tbody .row-link').length === wanted, {}, count);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks`);
    await fill(page, 'Find by name or URL', 'sought');
    await page.waitForFunction(() => !document.querySelector('tbody')?.textContent.includes('In the way'));
    await shown(page, 50);
    await click(page, 'button', 'Show more');
    await shown(page, 60);
    assert.equal(await page.$$eval('tbody .row-link', (links) => new Set(links.map((link) => link.href)).size), 60);
    await page.reload();
    await shown(page, 50);
    assert.equal(await page.$eval('input[type=search]', (field) => field.value), 'sought');
    await click(page, 'link', 'Webhooks');
    await page.waitForFunction(() => document.querySelector('input[type=search]').value === '' && document.querySelector('tbody')?.textContent.includes('In the way'));
  });
});
