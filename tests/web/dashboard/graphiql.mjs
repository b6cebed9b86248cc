// Exploring in GraphiQL.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { click, go, openPage, reads, visit } from '../browser.mjs';
import { browser, makeWebhook, using } from '../stage.mjs';
import { delivered, testEvent, token, url } from '../workspace.mjs';

test('GraphiQL runs a subscription with no network but ours', async () => {
  const id = await makeWebhook('Watched in GraphiQL');
  await using({}, async (page) => {
    await visit(page, `${url}/graphiql`, 'networkidle0');
    await click(page, 'tab', 'WatchDeliveries');
    // GraphiQL notices a change of tabs a tenth of a second later; until then it would run the other tab's operation.
    await page.waitForFunction(() => localStorage.getItem('graphiql:query')?.includes('deliveryStatusChanged'));
    await page.locator('.graphiql-execute-button').click();
    // Nothing on the page says when the server has taken the subscription, so events are sent until one is seen.
    for (let tries = 0; tries < 60; tries += 1) {
      await delivered(await testEvent(id));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const text = await page.$eval('.graphiql-response', (element) => element.textContent);
      if (text.includes('SUCCEEDED')) return;
    }
    assert.fail(`No change arrived: ${await page.$eval('.graphiql-response', (element) => element.textContent)}`);
  });
});

/** Replaces the text of an editor of GraphiQL, and waits until GraphiQL has noticed. */
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
  // GraphiQL reads its editors a tenth of a second later. It does not store headers, so nothing shows that it has.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await page.locator('.graphiql-execute-button').click();
  await reads(page, 'deliveryStatusChanged', '.graphiql-response');
  await page.browserContext().close();
});
