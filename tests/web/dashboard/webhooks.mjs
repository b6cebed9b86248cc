// Changing webhooks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changing, click, fill, focused, losing, press, reads, visit } from '../browser.mjs';
import { makeWebhook, receiver, using } from '../stage.mjs';
import { addAccount, ask, delivered, path_, RUN, testEvent, url } from '../workspace.mjs';

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

test('a form that is sent three times in one moment makes one webhook', async () => {
  const name = `At once ${RUN}`;
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    await fill(page, 'Name', name);
    await fill(page, 'Callback URL', receiver.url);
    await click(page, 'button', 'Select all');
    await page.$eval('form', (form) => [1, 2, 3].forEach(() => form.requestSubmit()));
    await reads(page, name, 'h1');
    const { webhooks } = await ask('query($name: String!) { webhooks(first: 9, filter: {search: $name}) { nodes { id } } }', { name });
    assert.equal(webhooks.nodes.length, 1);
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

test('a webhook is deactivated on its page after a question, gets nothing of what happens then, and is activated again', async () => {
  const id = await makeWebhook('Paused');
  await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {maxAttempts: 2}) { errors { message } } }', { id });
  const well = { ...receiver.answer };
  Object.assign(receiver.answer, { status: 503, headers: { 'Retry-After': '3600' } });
  await addAccount(`Put off ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'The receiver asked for a pause', '.rows');
    // The list is read once more, a moment after the stream has begun.
    await page.waitForNetworkIdle({ idleTime: 2_000 });
    Object.assign(receiver.answer, well);
    await press(page, 'button', 'Deactivate');
    await reads(page, 'never delivered to it', 'dialog');
    await page.locator('dialog .button-danger').click();
    await reads(page, 'This webhook is not active', 'main > .notice');
    await reads(page, 'The webhook is not active', '.rows');
    await focused(page, 'Copy callback URL');
    await addAccount(`Unheard of ${RUN}`);
    await click(page, 'button', 'Activate');
    await reads(page, 'Active', '.page-title');
    await page.waitForSelector('::-p-aria([name="Deactivate"][role="button"])');
    const { deliveries } = await ask('query($id: ID!) { deliveries(first: 2, filter: {webhookId: $id}) { nodes { event { payload } } } }', { id });
    assert.deepEqual(deliveries.nodes.map(({ event }) => event.payload.data.name), [`Put off ${RUN}`]);
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

test('a form that is long takes people to what went wrong and has no field', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    const found = await losing(page, () => true);
    await click(page, 'button', 'Create');
    await page.waitForFunction(() => document.activeElement.textContent.startsWith('The server cannot be reached'));
    assert.ok((await page.evaluate(() => document.activeElement.getBoundingClientRect().top)) >= 0);
    await found();
  });
});

test('a rate is not said to be the whole where it is not, nor nothing', async () => {
  await makeWebhook('Measured');
  for (const [given, shown] of [['0.99996', '99.9 %'], ['0.00004', '0.1 %'], ['0.5', '50.0 %'], ['1', '100 %']]) {
    await using({}, async (page) => {
      await changing(page, 'successRate', (answer) => answer.replace(/"successRate":[^,}]+/g, `"successRate":${given}`));
      await visit(page, `${url}/webhooks`);
      await reads(page, shown, '.rate');
    });
  }
});
