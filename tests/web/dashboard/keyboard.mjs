// Where the keyboard is, in pages and in dialogs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { audit, choose, click, fill, focused, press, reads, visit } from '../browser.mjs';
import { makeWebhook, screenshots, using } from '../stage.mjs';
import { addAccount, addPost, ask, path_, RUN, url } from '../workspace.mjs';

test('where a button goes away with what it did, the keyboard stays beside it', async () => {
  const names = [1, 2].map((number) => `Leaves ${number} ${RUN}`);
  for (const name of names) await addAccount(name);
  const post = await addPost({ body: 'Edited at once', accountIds: [] });
  const hook = await makeWebhook('Sleeps');
  await ask('mutation($id: ID!) { webhookUpdate(id: $id, input: {active: false}) { errors { message } } }', { id: hook });
  await using({}, async (page) => {
    await visit(page, `${url}/accounts`);
    await press(page, 'button', `Delete ${names[1]}`);
    await press(page, 'button', 'Delete the account');
    await focused(page, `Edit ${names[0]}`);
    await visit(page, `${url}/webhooks/new`);
    await press(page, 'button', 'Add a header');
    await press(page, 'button', 'Remove header 1');
    await focused(page, 'Add a header');
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await press(page, 'button', 'Activate');
    await focused(page, 'Copy callback URL');
    await visit(page, `${url}/posts/${path_(post)}`);
    await press(page, 'button', 'Edit');
    await focused(page, 'Edit post');
    await page.locator('.account-choice input').click();
    await page.focus('.account-choice > .button');
    await page.keyboard.press('Enter');
    await focused(page, `On ${names[0]}`);
    await press(page, 'button', 'Same as the others');
    await focused(page, `Say something else here, on ${names[0]}`);
  });
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

test('dialogs pass axe-core, hold the keyboard and give it back', async () => {
  const id = await makeWebhook('Dialogs');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    for (const [button, title] of [
      ['Send a test event', 'Send a test event'],
      ['Replay', 'Replay deliveries'],
      ['Rotate the secret', 'Rotate the secret'],
      ['Deactivate', 'Deactivate Dialogs?'],
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

test('the keyboard stays in a filter while the list of another one is read, and nothing is said of it before', async () => {
  for (let number = 0; number < 6; number++) await makeWebhook(`One of several ${RUN}`);
  await using({}, async (page) => {
    const held = [];
    let isHeld = false;
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      if (isHeld && /query (Webhooks|Posts)\(/.test(request.postData() ?? '')) held.push(request);
      else request.continue();
    });
    const asked = async () => {
      while (held.length === 0) await page.evaluate(() => new Promise(requestAnimationFrame));
      const said = await page.$eval('main', ({ textContent }) => textContent);
      assert.doesNotMatch(said, /No webhooks yet|No posts yet/);
      return page.evaluate(() => document.activeElement.labels?.[0]?.textContent);
    };
    const letGo = () => {
      isHeld = false;
      for (const request of held.splice(0)) request.continue();
    };
    await visit(page, `${url}/webhooks`);
    await fill(page, 'Find by name or URL', 'fits none');
    await reads(page, 'No webhook matches');
    isHeld = true;
    for (const _ of 'fits none') await page.keyboard.press('Backspace');
    assert.equal(await asked(), 'Find by name or URL');
    letGo();
    await reads(page, `One of several ${RUN}`, 'tbody');

    await visit(page, `${url}/posts?status=PUBLISHING`);
    await reads(page, 'No post has this status');
    await page.focus('.filters select');
    isHeld = true;
    await choose(page, 'Status', '');
    assert.equal(await asked(), 'Status');
    letGo();
    await page.waitForSelector('tbody tr');
  });
});

test('who goes back after a reload hears where that leads', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks`);
    await click(page, 'link', 'Accounts');
    await reads(page, 'Where posts go.', 'main');
    await page.reload();
    await reads(page, 'Where posts go.', 'main');
    await page.goBack();
    await focused(page, 'Webhooks');
  });
});
