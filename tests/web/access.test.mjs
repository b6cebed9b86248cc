// The dashboard for people who see, hear and move differently, and on lines that fail. Started by test_dashboard.py.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { choose, click, fill, go, inPage, launch, reads, receive, visit } from './browser.mjs';
import { addAccount, addPost, addWebhook, ask, delivered, path_, RUN, testEvent, token, url } from './workspace.mjs';

/** 1280 by 1024 pixels at 400 %, as WCAG 1.4.10 has it. */
const ZOOMED = { width: 320, height: 256 };
const LONG = 'long'.repeat(24);

let browser;
let receiver;

before(async () => {
  browser = await launch();
  receiver = await receive();
});

after(async () => {
  receiver?.close();
  await browser?.close();
});

const using = (options, body) => inPage(browser, { token, ...options }, body);

async function press(page, role, name) {
  await (await page.waitForSelector(`::-p-aria([name="${name}"][role="${role}"])`)).focus();
  await page.keyboard.press('Enter');
}

/** Waits until the focus is on what has this name. */
const focused = (page, name) =>
  page.waitForFunction(
    (wanted) => {
      const { ariaLabel, labels, textContent } = document.activeElement;
      return document.activeElement !== document.body && (ariaLabel ?? labels?.[0]?.textContent ?? textContent) === wanted;
    },
    {},
    name,
  );

/** From then on answers of the API to what this picks are lost: the server has done what was asked, or has heard nothing. */
async function losing(page, picks, requestStage = 'Request') {
  const wire = await page.createCDPSession();
  await wire.send('Fetch.enable', { patterns: [{ urlPattern: '*/graphql', requestStage }] });
  wire.on('Fetch.requestPaused', ({ requestId, request }) => {
    const isLost = request.method === 'POST' && picks(request.postData);
    // What was asked just before the line was mended goes on by itself.
    wire.send(isLost ? 'Fetch.failRequest' : 'Fetch.continueRequest', isLost ? { requestId, errorReason: 'ConnectionReset' } : { requestId }).catch(() => undefined);
  });
  return async () => {
    await wire.detach();
    page.faults = page.faults.filter((fault) => !fault.includes('ERR_CONNECTION_RESET'));
  };
}

test('where a button goes away with what it did, the keyboard stays beside it', async () => {
  const names = [1, 2].map((number) => `Leaves ${number} ${RUN}`);
  for (const name of names) await addAccount(name);
  const post = await addPost({ body: 'Edited at once', accountIds: [] });
  const hook = await addWebhook('Sleeps', receiver.url);
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

test('what the keyboard comes to is never behind the bar of a small window', async () => {
  await using(ZOOMED, async (page) => {
    await visit(page, `${url}/webhooks/new`);
    await page.waitForSelector('.check .field-hint');
    const behind = [];
    let name = '';
    while (name !== 'Cancel') {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const { activeElement: element } = document;
        const bar = document.querySelector('.side ul');
        const isBehind = !bar.contains(element) && element.getBoundingClientRect().top >= bar.getBoundingClientRect().top;
        return { name: element.labels?.[0]?.textContent ?? element.textContent, isBehind };
      });
      name = at.name;
      if (at.isBehind) behind.push(name);
    }
    assert.deepEqual(behind, []);
  });
});

test('a small window is never too narrow for a name, and shows of each delivery whose it is', async () => {
  const hook = await addWebhook(LONG, receiver.url, ['ACCOUNT_ADDED', 'POST_PUBLISHED']);
  await addWebhook('Short name', receiver.url, ['POST_PUBLISHED']);
  const account = await addAccount(`${LONG}${RUN}`);
  const sent = await testEvent(hook);
  await delivered(sent);
  const post = await addPost({ body: 'Seen by long names', accountIds: [account] });
  await ask('mutation($id: ID!) { postPublish(id: $id) { errors { message } } }', { id: post });
  await using(ZOOMED, async (page) => {
    const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await reads(page, LONG, '.back');
    assert.equal(await tooWide(), 0);
    await visit(page, `${url}/posts/${path_(post)}`);
    await reads(page, 'See it on', '.post-accounts');
    assert.equal(await tooWide(), 0);
    await visit(page, `${url}/deliveries`);
    await reads(page, 'Short name', '.rows');
    const isWhole = await page.$$eval('.cell-webhook', (cells) => {
      const cell = cells.find(({ textContent }) => textContent === 'Short name');
      return cell.getBoundingClientRect().right <= cell.parentElement.getBoundingClientRect().right && cell.scrollWidth <= cell.clientWidth;
    });
    assert.ok(isWhole);
  });
});

test('in a small window too every cell is read out under its own heading', async () => {
  await using(ZOOMED, async (page) => {
    for (const list of ['webhooks', 'deliveries']) {
      await visit(page, `${url}/${list}`);
      await page.waitForSelector('tbody tr, .rows .row');
      const cells = await page.evaluate(() => {
        const isRead = (cell) => getComputedStyle(cell).display !== 'none';
        const rows = [...document.querySelectorAll('tr, [role=row]')].map((row) => [...row.querySelectorAll('th, td, [role=columnheader], [role=cell]')].filter(isRead).length);
        return [...new Set(rows)];
      });
      assert.equal(cells.length, 1, `${list}: ${cells}`);
    }
  });
});

test('people with colours of their own see which page and which tab they are on, and what the chart shows', async () => {
  const hook = await addWebhook('In other colours', receiver.url);
  const sent = await testEvent(hook);
  await delivered(sent);
  await using({}, async (page) => {
    const wire = await page.createCDPSession();
    await wire.send('Emulation.setEmulatedMedia', { features: [{ name: 'forced-colors', value: 'active' }] });
    const looks = (selector, property, part) => page.$eval(selector, (element, name, which) => getComputedStyle(element, which)[name], property, part);
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await page.waitForSelector('.legend');
    assert.notEqual(await looks('.nav-item[aria-current]', 'backgroundColor'), await looks('.nav-item:not([aria-current])', 'backgroundColor'));
    assert.notEqual(await looks('.key-good', 'backgroundColor', '::before'), await looks('.key-bad', 'backgroundColor', '::before'));
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await page.waitForSelector('[role=tab]');
    assert.notEqual(await looks('[role=tab][aria-selected=true]', 'borderBottomColor'), await looks('[role=tab][aria-selected=false]', 'borderBottomColor'));
  });
});

test('the bars of the chart stand out from their ground in both themes', async () => {
  const hook = await addWebhook('Charted', receiver.url);
  await delivered(await testEvent(hook));
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await page.waitForSelector('.plot');
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      // As WCAG 1.4.11 counts it.
      const contrasts = await page.evaluate(() => {
        const luminance = (colour) => {
          const [red, green, blue] = colour.match(/\d+/g).map((part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const ground = luminance(getComputedStyle(document.querySelector('.chart')).backgroundColor);
        return ['good', 'bad', 'open'].map((kind) => {
          const bar = luminance(getComputedStyle(document.querySelector(`.plot-${kind}`)).fill);
          return (Math.max(bar, ground) + 0.05) / (Math.min(bar, ground) + 0.05);
        });
      });
      assert.ok(Math.min(...contrasts) >= 3, `${value}: ${contrasts}`);
    }
  });
});

test('a list that changes all the time does not say its length aloud each time, but does where it is read anew', async () => {
  const hook = await addWebhook('Talks', receiver.url);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await reads(page, 'Live', '.live');
    const aloud = () => page.$$eval('[role=status]', (found) => found.map(({ textContent }) => textContent));
    for (const count of [1, 2]) {
      await testEvent(hook);
      await reads(page, `${count} in all`, '.table-foot');
    }
    assert.ok(!(await aloud()).includes('2 in all'));
    await choose(page, 'Event', 'ACCOUNT_DELETED');
    await reads(page, 'Nothing fits this filter');
    assert.ok((await aloud()).includes('No deliveries'));
  });
});

test('a fault of an account stands at that account, and that of the text for it at that text', async () => {
  const [gone, kept] = [`Goes ${RUN}`, `Stays ${RUN}`];
  const id = await addAccount(gone);
  await addAccount(kept);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'For two accounts');
    for (const name of [kept, gone]) await click(page, 'checkbox', `${name} Sandbox`);
    await page.locator('.account-choice > .button').click();
    await fill(page, `On ${kept}`, ' ');
    await ask('mutation($id: ID!) { accountDelete(id: $id) { errors { message } } }', { id });
    await click(page, 'button', 'Publish now');
    await focused(page, `On ${kept}`);
    const wrong = await page.$$eval('[aria-invalid=true]', (fields) =>
      fields.map((field) => [field.labels[0].textContent, document.getElementById(field.getAttribute('aria-describedby')).textContent]),
    );
    assert.deepEqual(wrong, [
      [`On ${kept}`, 'The text must not be blank.'],
      [`${gone} Sandbox`, 'There is no such account.'],
    ]);
    await click(page, 'button', 'Cancel');
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

test('a post whose answer got lost is stored once, as it was written last', async () => {
  const account = await addAccount(`Lossy ${RUN}`);
  const newest = async () => (await ask('{ posts(first: 2) { nodes { body accounts { account { id } } } } }')).posts.nodes;
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'First words');
    await click(page, 'checkbox', `Lossy ${RUN} Sandbox`);
    const found = await losing(page, (body) => body.includes('mutation PostCreate'), 'Response');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'The server cannot be reached', 'form [role=alert]');
    await found();
    await fill(page, 'Text', 'Better words');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'words', '.post-text');
    const [post, before] = await newest();
    assert.deepEqual(post, { body: 'Better words', accounts: [{ account: { id: account } }] });
    assert.notEqual(before?.body, 'First words');
  });
});

test('the way back leads out of a post that was edited where it stands', async () => {
  const post = await addPost({ body: 'To be edited', accountIds: [await addAccount(`Steps ${RUN}`)] });
  await using({}, async (page) => {
    await visit(page, `${url}/posts`);
    await click(page, 'link', 'To be edited');
    await click(page, 'button', 'Edit');
    await fill(page, 'Text', 'Edited in place');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'Edited in place', '.post-text');
    assert.equal(new URL(page.url()).pathname, `/posts/${path_(post)}`);
    await page.goBack();
    await reads(page, 'Posts', 'h1');
  });
});

test('a webhook that cannot be read for editing is read again at a click', async () => {
  const hook = await addWebhook('Read at the second try', receiver.url);
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
  const hook = await addWebhook('Fails at times', receiver.url, ['POST_PUBLISHED']);
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
