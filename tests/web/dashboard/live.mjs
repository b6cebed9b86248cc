// What the page says while things happen, and if the line or Redis breaks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { choose, reads, visit } from '../browser.mjs';
import { makeWebhook, rows, using, usingLine } from '../stage.mjs';
import { ask, delivered, path_, python, redisUrl, testEvent, url } from '../workspace.mjs';

/** The page of a new webhook with one delivery in its log, on a line that can be cut. */
async function watching(name, body) {
  const id = await makeWebhook(name);
  await usingLine(async (page, wire) => {
    await visit(page, `${wire.url}/webhooks/${path_(id)}`);
    await reads(page, 'Live', '.live');
    await testEvent(id);
    await reads(page, 'Succeeded', '.rows');
    await body(page, wire, id);
  });
}

test('a dropped connection says so, resumes and misses nothing', async () => {
  await watching('Cut off', async (page, wire, id) => {
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
  await watching('Forgotten', async (page, wire, id) => {
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

/** Makes 120 deliveries, more than a page holds. */
async function make120(id) {
  const test_ = 'webhookTest(id: $id, eventType: POST_PUBLISHED) { delivery { id } errors { message } }';
  const twenty = `mutation($id: ID!) { ${Array.from({ length: 20 }, (_, number) => `t${number}: ${test_}`).join(' ')} }`;
  for (let round = 0; round < 6; round++) await ask(twenty, { id });
}

/** Makes 120 deliveries that the page does not hear of, and has it read its list again. */
async function lose120(page, wire, id) {
  wire.cut();
  await reads(page, 'Disconnected', '.live');
  await make120(id);
  execFileSync(python, ['-c', 'import sys, redis; redis.Redis.from_url(sys.argv[1]).flushall()', redisUrl]);
  wire.mend();
  await reads(page, 'the list was read again', '.live');
}

test('where more was lost than one page holds, the list begins anew and has no hole', async () => {
  await watching('Long forgotten', async (page, wire, id) => {
    await lose120(page, wire, id);
    await reads(page, '100 loaded, more as you scroll', '.table-foot');
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await reads(page, '121 in all', '.table-foot');
  });
});

test('a list that begins anew has no hole either where a page comes late, or where its first page could not be read', async () => {
  await watching('Held up', async (page, wire, id) => {
    await make120(id);
    await page.reload();
    await reads(page, '100 loaded, more as you scroll', '.table-foot');
    await reads(page, 'Live', '.live');

    const isReading = (request) => request.postData()?.includes('query Deliveries(');
    let stop = (request) => request.postData().includes('"after":"');
    let stopped;
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      if (!isReading(request) || !stop(request)) return request.continue();
      stop = () => false;
      return stopped(request);
    });
    const held = new Promise((resolve) => (stopped = resolve));
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    const late = await held;
    await page.evaluate(() => window.scrollTo(0, 0));
    const read = page.waitForResponse((response) => isReading(response.request()));
    await lose120(page, wire, id);
    await read;
    const came = page.waitForResponse((response) => response.request() === late);
    late.continue();
    await came;
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
    await reads(page, '100 loaded, more as you scroll', '.table-foot');

    stopped = (request) => request.abort('connectionfailed');
    stop = () => true;
    await lose120(page, wire, id);
    await reads(page, 'The server cannot be reached');
    await page.waitForFunction(() => {
      window.scrollTo(0, document.body.scrollHeight);
      return document.querySelector('.table-foot').textContent.includes('361 in all');
    });
  });
});

test('a list that changes all the time does not say its length aloud each time, but does where it is read anew', async () => {
  const hook = await makeWebhook('Talks');
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
    await reads(page, 'Nothing matches this filter');
    assert.ok((await aloud()).includes('No deliveries'));
  });
});

test('a row stays under a pointer that moves there, and new ones come once it rests', async () => {
  const hook = await makeWebhook('Aimed at');
  const aimedAt = await testEvent(hook);
  await delivered(aimedAt);
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await reads(page, 'Live', '.live');
    await reads(page, 'Succeeded', '.rows');
    const place = await page.$eval('.rows .row', (row) => ({ x: row.getBoundingClientRect().left + 40, y: row.getBoundingClientRect().top + 20 }));
    const under = () => page.evaluate(({ x, y }) => document.elementFromPoint(x, y).closest('.row').querySelector('a').pathname, place);
    await page.mouse.move(place.x, place.y);
    // The pointer is moved by the page itself: moved from here, it would rest whenever this process is not run for a while.
    const hand = await page.evaluate(({ x, y }) => {
      const move = new PointerEvent('pointermove', { bubbles: true, pointerType: 'mouse', movementX: 1 });
      return setInterval(() => document.elementFromPoint(x, y).dispatchEvent(move), 100);
    }, place);
    await testEvent(hook);
    await reads(page, '2 in all', '.table-foot');
    assert.equal(await under(), `/deliveries/${path_(aimedAt)}`);
    await page.evaluate((number) => clearInterval(number), hand);
    await page.waitForFunction(() => document.querySelectorAll('.rows .row').length === 2);
    assert.notEqual(await under(), `/deliveries/${path_(aimedAt)}`);
  });
});
