// Tokens that open less, or nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, choose, click, fill, focused, go, openPage, reads, visit } from '../browser.mjs';
import { browser, makeWebhook, receiver, using } from '../stage.mjs';
import { ask, newToken, path_, token, url } from '../workspace.mjs';

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

test('an answer to a token that was refused comes late, and ends no other session', async () => {
  const { tokenCreate } = await ask(`mutation { tokenCreate(input: {name: "Slow", role: VIEWER}) { token { id } secret errors { message } } }`);
  await using({ token: tokenCreate.secret }, async (page) => {
    const late = [];
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      const isHeld = request.headers().authorization === `Bearer ${tokenCreate.secret}` && request.postData()?.includes('query Deliveries(');
      if (isHeld) late.push(request);
      else request.continue();
    });
    await visit(page, `${url}/deliveries`);
    await reads(page, 'Live', '.live');
    await ask(`mutation($id: ID!) { tokenRevoke(id: $id) { errors { message } } }`, { id: tokenCreate.token.id });
    await reads(page, 'You have been signed out');
    await fill(page, 'Token', token);
    await click(page, 'button', 'Sign in');
    await reads(page, 'Live', '.live');
    const answer = page.waitForResponse((response) => response.status() === 401);
    for (const request of late) request.continue();
    await answer;
    await click(page, 'link', 'Webhooks');
    await reads(page, 'Create Webhook', 'main');
    page.faults = page.faults.filter((fault) => !fault.includes('401'));
  });
});

test('a secret that nobody has stored yet is not shown to whoever signs in next', async () => {
  const { tokenCreate } = await ask(`mutation { tokenCreate(input: {name: "Next", role: VIEWER}) { secret errors { message } } }`);
  const id = await makeWebhook('Has a secret');
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await click(page, 'button', 'Rotate the secret');
    await click(page, 'button', 'Rotate');
    await reads(page, 'Keep the secret now');
    await click(page, 'button', 'Sign out');
    await fill(page, 'Token', tokenCreate.secret);
    await click(page, 'button', 'Sign in');
    await reads(page, 'Has a secret', 'h1');
    await reads(page, 'Live', '.live');
    assert.ok(!(await page.$eval('main', (element) => element.textContent)).includes('Keep the secret now'));
  });
});

test('nor is one whose answer came after the end of the session', async () => {
  const { tokenCreate } = await ask(`mutation { tokenCreate(input: {name: "After", role: VIEWER}) { secret errors { message } } }`);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    await fill(page, 'Name', 'Made at the last moment');
    await fill(page, 'Callback URL', receiver.url);
    await fill(page, 'Secret', 'known to its maker alone');
    await page.locator('input[value=ACCOUNT_ADDED]').click();
    await page.setRequestInterception(true);
    const held = new Promise((resolve) => {
      page.on('request', (request) => (request.postData()?.includes('mutation WebhookCreate(') ? resolve(request) : request.continue()));
    });
    await click(page, 'button', 'Create');
    const request = await held;
    await click(page, 'button', 'Sign out');
    await fill(page, 'Token', tokenCreate.secret);
    await click(page, 'button', 'Sign in');
    await page.waitForSelector('::-p-aria([name="Webhooks"][role="link"])');
    const came = page.waitForResponse((response) => response.request() === request);
    request.continue();
    await came;
    await click(page, 'link', 'Webhooks');
    await page.locator('::-p-text(Made at the last moment)').click();
    await reads(page, 'Made at the last moment', 'h1');
    assert.ok(!(await page.$eval('main', (element) => element.textContent)).includes('Keep the secret now'));
  });
});

test('a token that is refused is asked for again where the keyboard is', async () => {
  await using({ token: null }, async (page) => {
    await visit(page, `${url}/signin`);
    await fill(page, 'Token', 'two words');
    await click(page, 'button', 'Sign in');
    await focused(page, 'Token');
    await page.evaluate(() => document.activeElement.addEventListener('focus', () => document.body.append('Read out anew')));
    await page.keyboard.press('Enter');
    await reads(page, 'Read out anew');
  });
});

test('in a browser that keeps nothing of a site one is signed in until the page is left, and GraphiQL works', async () => {
  await using({ token: null }, async (page) => {
    await page.evaluateOnNewDocument(() => {
      const refuse = () => {
        throw new DOMException('Access is denied for this document.', 'SecurityError');
      };
      for (const name of ['sessionStorage', 'localStorage']) Object.defineProperty(window, name, { get: refuse });
    });
    await visit(page, `${url}/signin`);
    await fill(page, 'Token', token);
    await click(page, 'button', 'Sign in');
    await reads(page, 'Create Webhook', 'main');
    await click(page, 'button', 'Theme: system. Change it');
    await page.waitForSelector('[data-theme=light]');
    await click(page, 'button', 'Sign out');
    await reads(page, 'Token', 'form');
    await go(page, `${url}/graphiql`);
    await reads(page, 'CreateAWebhook');
    // GraphiQL asks for the schema, and is no longer signed in.
    page.faults = page.faults.filter((fault) => !fault.includes('401'));
  });
});

test('a token with a sign that no header can carry is told from a server that is away', async () => {
  await using({ token: null }, async (page) => {
    await visit(page, `${url}/signin`);
    await fill(page, 'Token', 'hl_abc…');
    await click(page, 'button', 'Sign in');
    await reads(page, 'Paste a token', '.field-error');
  });
});

test('the password that a browser keeps for this site is not filled in as that of an account', async () => {
  await using({}, async (page) => {
    await visit(page, `${url}/accounts`);
    await click(page, 'button', 'Add Account');
    await choose(page, 'Network', 'BLUESKY');
    assert.equal(await page.$eval('dialog [type=password]', (field) => field.autocomplete), 'new-password');
  });
});

test('who may only read is told of no first step that others may take', async () => {
  const inNew = api(url, newToken);
  const { tokenCreate } = await inNew(`mutation { tokenCreate(input: {name: "Looks on", role: VIEWER}) { secret errors { message } } }`);
  const create = 'mutation($url: String!) { webhookCreate(input: {name: "Nothing yet", callbackUrl: $url, events: [POST_DELETED]}) { webhook { id } errors { message } } }';
  const { id } = (await inNew(create, { url: receiver.url })).webhookCreate.webhook;
  const isTold = async (page) => {
    await visit(page, `${url}/webhooks`);
    await reads(page, 'Nothing was delivered yet');
    const first = await page.$eval('main > .notice', ({ textContent }) => textContent);
    await visit(page, `${url}/webhooks/${path_(id)}`);
    await reads(page, 'No deliveries yet');
    return [/Publish a post/.test(first), /test event/.test(first), /test event/.test(await page.$eval('.empty', ({ textContent }) => textContent))];
  };
  await using({ token: newToken }, async (page) => assert.deepEqual(await isTold(page), [true, true, true]));
  await using({ token: tokenCreate.secret }, async (page) => assert.deepEqual(await isTold(page), [false, false, false]));
});
