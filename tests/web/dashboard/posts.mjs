// Writing posts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, click, fill, focused, losing, reads, visit } from '../browser.mjs';
import { makeWebhook, using } from '../stage.mjs';
import { addAccount, addPost, ask, path_, RUN, token, url } from '../workspace.mjs';

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

test('an answer that comes late takes nobody away from where they have gone meanwhile', async () => {
  await addAccount(`Meanwhile ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Written in passing');
    await page.setRequestInterception(true);
    const held = new Promise((resolve) => {
      page.on('request', (request) => (request.postData()?.includes('mutation PostCreate(') ? resolve(request) : request.continue()));
    });
    await click(page, 'button', 'Save as a draft');
    const request = await held;
    await click(page, 'link', 'Accounts');
    await reads(page, 'Where posts go.', 'main');
    request.continue();
    await reads(page, 'Saved as a draft');
    assert.equal(new URL(page.url()).pathname, '/accounts');
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

test('a post in the trash says so, and offers nothing that it no longer takes', async () => {
  const id = await addPost({ body: 'Thrown away', accountIds: [] });
  await ask('mutation($ids: [ID!]!) { postDelete(ids: $ids, toTrash: true) { errors { message } } }', { ids: [id] });
  await using({}, async (page) => {
    await visit(page, `${url}/posts/${path_(id)}`);
    await reads(page, 'In the trash', '.notice');
    assert.deepEqual(await audit(page), []);
    const offered = await page.$$eval('.page-head button', (buttons) => buttons.map((button) => button.textContent.trim()));
    assert.deepEqual(offered, ['Delete']);
    await click(page, 'button', 'Delete');
    await click(page, 'button', 'Delete the post');
    await reads(page, 'The post was deleted here');
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
  const account = await addAccount(`Unanswered ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await fill(page, 'Text', 'Said at first');
    await click(page, 'checkbox', `Unanswered ${RUN} Sandbox`);
    const found = await losing(page, (body) => body.includes('mutation PostCreate'), 'Response');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'The server cannot be reached', 'form [role=alert]');
    await found();
    await page.reload();
    await page.waitForFunction(() => document.querySelector('form textarea')?.value === 'Said at first');
    await fill(page, 'Text', 'Said at last');
    await click(page, 'button', 'Save as a draft');
    await reads(page, 'Said at last', '.post-text');
    const [post, before] = (await ask('{ posts(first: 2) { nodes { body accounts { account { id } } } } }')).posts.nodes;
    assert.deepEqual(post, { body: 'Said at last', accounts: [{ account: { id: account } }] });
    assert.notEqual(before?.body, 'Said at first');
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

test('of an account that was deleted after a post was written for it the post says so, and it can be taken out', async () => {
  const [gone, kept] = [await addAccount(`Went ${RUN}`), await addAccount(`Stayed ${RUN}`)];
  const id = await addPost({ body: 'Written for two', accountIds: [gone, kept] });
  await ask('mutation($id: ID!) { accountDelete(id: $id) { errors { message } } }', { id: gone });
  await using({}, async (page) => {
    await visit(page, `${url}/posts/${path_(id)}`);
    await reads(page, 'It was deleted, and nothing can be published there any more', '.post-account:first-child');
    const states = await page.$$eval('.post-account .badge', (badges) => badges.map(({ textContent }) => textContent));
    assert.deepEqual(states, ['Account deleted', 'Pending']);
    await click(page, 'button', 'Edit');
    await reads(page, 'It was deleted, and nothing can be published there any more', '.account-choice');
    await click(page, 'checkbox', `Went ${RUN} Sandbox`);
    await click(page, 'button', 'Save as a draft');
    await page.waitForSelector('.post-accounts');
    const { post } = await ask('query($id: ID!) { post(id: $id) { accounts { account { id } } } }', { id });
    assert.deepEqual(post.accounts.map(({ account }) => account.id), [kept]);
  });
});

test('a post for many accounts takes no more room in the list than one for four', async () => {
  const accountIds = [];
  for (let number = 0; number < 12; number++) accountIds.push(await addAccount(`One of twelve, ${number} ${RUN}`));
  await addPost({ body: 'For four', accountIds: accountIds.slice(0, 4) });
  await addPost({ body: 'For twelve', accountIds });
  await using({}, async (page) => {
    await visit(page, `${url}/posts`);
    await reads(page, 'and 9 more', 'table');
    const [twelve, four] = await page.$$eval('tbody tr', (rows) => rows.slice(0, 2).map((row) => [row.querySelector('.row-link').textContent, row.offsetHeight]));
    assert.deepEqual([twelve[0], four[0]], ['For twelve', 'For four']);
    assert.ok(twelve[1] <= four[1], `${twelve[1]} px and ${four[1]} px`);
    assert.equal(await page.$eval('.chips [title]', ({ title }) => title.split(', One').length), 9);
  });
});

test('a time is typed by keyboard alone, from the date on to the hour', async () => {
  await addAccount(`Typed ${RUN}`);
  await using({}, async (page) => {
    await visit(page, `${url}/posts/new`);
    await (await page.waitForSelector('input[name=scheduledAt]')).focus();
    await page.keyboard.type('122520400930PM');
    assert.equal(await page.$eval('input[name=scheduledAt]', (field) => field.value), '2040-12-25T21:30');
    await click(page, 'button', 'Cancel');
  });
});
