// Servers that are away, answers that get lost, and pages that break take nothing away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { click, fill, go, losing, reads, visit } from '../browser.mjs';
import { makeWebhook, using, usingLine } from '../stage.mjs';
import { addAccount, ask, delivered, path_, RUN, testEvent, url } from '../workspace.mjs';

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
    // Not `visit`: the heading may be gone before it is seen.
    await go(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'Something went wrong on this page');
    page.faults.length = 0;
    await click(page, 'link', 'Accounts');
    await reads(page, 'Sandbox', 'table');
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
    let readings = 0;
    page.on('requestfinished', (request) => (readings += request.postData()?.includes('query Posts(') ? 1 : 0));
    await visit(page, `${url}/posts`);
    // The page reads again a second after the live stream begins. Later, that would mend the failure before `Try again` is clicked.
    while (readings < 2) await page.evaluate(() => new Promise(requestAnimationFrame));
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

test('a webhook that cannot be read for editing is read again at a click', async () => {
  const hook = await makeWebhook('Read at the second try');
  await using({}, async (page) => {
    const found = await losing(page, (body) => body.includes('query Webhook('));
    await go(page, `${url}/webhooks/${path_(hook)}/edit`);
    await reads(page, 'The server cannot be reached');
    await found();
    await click(page, 'button', 'Try again');
    await page.waitForFunction(() => document.querySelector('form input')?.value === 'Read at the second try');
  });
});

test('a page, and what it says of a replay, outlive a reading that fails', async () => {
  const hook = await makeWebhook('Fails at times', ['POST_PUBLISHED']);
  await delivered(await testEvent(hook));
  const input = { webhookId: hook, statuses: ['SUCCEEDED'], since: new Date(Date.now() - 60_000).toISOString() };
  const { replay } = (await ask('mutation($input: DeliveriesReplayInput!) { deliveriesReplay(input: $input) { replay { id } errors { message } } }', { input })).deliveriesReplay;
  await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {active: false}) { errors { message } } }', { id: hook });
  await using({}, async (page) => {
    let isLost = false;
    const found = await losing(page, (body) => body.includes('query Replay(') || (isLost && body.includes('query Webhook(')));
    await visit(page, `${url}/webhooks/${path_(hook)}?replay=${path_(replay.id)}`);
    await page.waitForSelector('.rows .row');
    isLost = true;
    await click(page, 'button', 'Activate');
    await reads(page, 'The server cannot be reached', 'main [role=alert]');
    await reads(page, 'Fails at times', 'h1');
    await found();
    await reads(page, 'Replayed 1 delivery');
    await click(page, 'button', 'Try again');
    await page.waitForFunction(() => !document.querySelector('main [role=alert]'));
  });
});

test('an answer that comes late closes no other dialog than its own', async () => {
  await addAccount(`Open ${RUN}`);
  await using({}, async (page) => {
    let answer = null;
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      if (request.postData()?.includes('mutation AccountAdd')) answer = () => request.continue();
      else void request.continue();
    });
    await visit(page, `${url}/accounts`);
    await click(page, 'button', 'Add Account');
    await fill(page, 'Account name', `Late ${RUN}`);
    await click(page, 'button', 'Add the account');
    await page.keyboard.press('Escape');
    await click(page, 'button', `Edit Open ${RUN}`);
    await fill(page, 'Name shown here', 'Typed meanwhile');
    await answer();
    await reads(page, `Late ${RUN}`, 'tbody');
    assert.equal(await page.$eval('dialog input', (field) => field.value), 'Typed meanwhile');
  });
});
