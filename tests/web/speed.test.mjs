// How fast the pages are, in a real browser that has the machine to itself. Started by test_dashboard.py, which says where they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PATIENCE_MS, visit } from './browser.mjs';
import { using } from './stage.mjs';
import { largeWebhook, url } from './workspace.mjs';

const NO_FRAME = 'no frame was drawn';

/** Scrolls through the log of the large webhook, and bounds the pages it asks for, the rows it draws and the time a frame takes. */
async function scrollThroughAll(page) {
  let asked = 0;
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.postData()?.includes('query Deliveries(')) asked += 1;
  });
  await visit(page, `${url}/webhooks/${encodeURIComponent(largeWebhook)}`);
  await page.waitForSelector('.rows .row');
  const seen = await page.evaluate(async (patience, noFrame) => {
    const drawn = () =>
      new Promise((resolve, reject) => {
        requestAnimationFrame(resolve);
        setTimeout(() => reject(new Error(`${noFrame} for ${patience} ms, ${document.visibilityState}, at ${scrollY} px`)), patience);
      });
    const middle = (times) => times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)];
    const idle = [];
    let last = performance.now();
    for (let frame = 0; frame < 60; frame += 1) {
      await drawn();
      idle.push(performance.now() - last);
      last = performance.now();
    }
    const frames = [];
    let most = 0;
    const isDone = () => document.querySelector('.table-foot').textContent.startsWith('10,000 in all');
    const isAtEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const end = last + 3 * patience;
    while (!(isDone() && isAtEnd()) && !document.querySelector('[role=alert]') && last < end) {
      window.scrollBy(0, 700);
      await drawn();
      const now = performance.now();
      frames.push(now - last);
      last = now;
      most = Math.max(most, document.querySelectorAll('.rows .row').length);
    }
    return { most, idle: middle(idle), scrolling: middle(frames), foot: document.querySelector('.table-foot').textContent, problem: document.querySelector('[role=alert]')?.textContent };
  }, PATIENCE_MS, NO_FRAME);
  console.log(`10,000 deliveries: ${asked} pages, at most ${seen.most} rows drawn, a frame takes ${seen.scrolling.toFixed(1)} ms (${seen.idle.toFixed(1)} ms without scrolling)`);
  assert.equal(seen.problem, undefined);
  assert.equal(seen.foot, '10,000 in all');
  assert.ok(asked >= 100 && asked <= 103, `${asked} pages`);
  assert.ok(seen.most < 100, `${seen.most} rows`);
  // Compared with the same page at rest in the same minute, so the machine's speed cancels out.
  assert.ok(seen.scrolling < 2 * seen.idle, `${seen.scrolling} ms against ${seen.idle} ms`);
}

test('10,000 deliveries scroll smoothly, are asked for page by page, and never fill the page', async () => {
  // Twice in one day, Chromium drew no more frames in a tab, so others are tried. If three tabs stop, it is the page's fault.
  for (let tries = 1; ; tries += 1) {
    try {
      return await using({}, scrollThroughAll);
    } catch (error) {
      if (tries === 3 || !error.message.includes(NO_FRAME)) throw error;
      console.log(error.message);
    }
  }
});

test('the first page is usable within a second and a half, on at most 200 kB of JavaScript', async () => {
  const times = [];
  let bytes = 0;
  // The best of three: it is not the page's fault if the machine does something else meanwhile.
  for (let visits = 0; visits < 3; visits += 1) {
    await using({}, async (page) => {
      const scripts = [];
      page.on('response', (response) => {
        if (response.url().endsWith('.js')) scripts.push(response.buffer());
      });
      const start = performance.now();
      await visit(page, `${url}/webhooks`);
      await page.waitForSelector('table .row-link');
      times.push(performance.now() - start);
      bytes = (await Promise.all(scripts)).reduce((sum, script) => sum + gzipSync(script).length, 0);
    });
  }
  console.log(`first page: ${times.map((time) => time.toFixed(0)).join(', ')} ms, ${(bytes / 1000).toFixed(1)} kB of JavaScript`);
  assert.ok(Math.min(...times) < 1_500, `${times} ms`);
  assert.ok(bytes > 0 && bytes < 200_000, `${bytes} bytes`);
});
