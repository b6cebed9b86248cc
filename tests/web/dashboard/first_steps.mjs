// What a newcomer does first.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { choose, click, fill, reads, tabTo, visit } from '../browser.mjs';
import { makeWebhook, receiver, rows, using } from '../stage.mjs';
import { addAccount, path_, RUN, SECRET, token, url, worker } from '../workspace.mjs';

const DASHBOARD_PAGE = fileURLToPath(new URL('../../../docs/dashboard.md', import.meta.url));

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

    // A stopped worker leaves the delivery pending for as long as the test looks at it.
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
