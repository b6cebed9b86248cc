// A real Chromium, and what every test watches for while it uses one.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const require = createRequire(import.meta.url);
const AXE = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
/** What unpack.mjs makes. */
export const UNPACKED = fileURLToPath(new URL('node_modules/.chromium', import.meta.url));
export const CHROMIUM = path.join(UNPACKED, 'chromium');
/** Ample: what takes this long on a slow machine under load is not late but broken. */
export const PATIENCE_MS = 40_000;

// Not the package's own flags: they switch web security off, which these tests are to prove. Without the GPU watchdog:
// on a machine under load the process that draws may be late, and need not be killed for that.
const FLAGS = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-gpu-watchdog', '--font-render-hinting=none', '--hide-scrollbars', '--disable-background-networking'];

export async function launch() {
  const env = { ...process.env, FONTCONFIG_FILE: fileURLToPath(new URL('fonts.conf', import.meta.url)) };
  // unpack.mjs unpacks them only on machines that lack them.
  const libraries = path.join(UNPACKED, 'al2023', 'lib');
  if (existsSync(libraries)) env.LD_LIBRARY_PATH = libraries;
  return puppeteer.launch({ args: FLAGS, dumpio: true, executablePath: CHROMIUM, env, headless: 'shell' });
}

/** A page in a browser context of its own. `page.faults` collects what must never happen: console errors, broken policies, foreign requests. */
export async function openPage(browser, { token = null, width = 1280, height = 800, dark = false, still = false } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.faults = [];
  page.scripts = new Map();
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) page.faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.faults.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (['data:', 'blob:'].includes(url.protocol)) return;
    if (page.origin && url.host !== new URL(page.origin).host) page.faults.push(`foreign request: ${request.url()}`);
  });
  page.setDefaultTimeout(PATIENCE_MS);
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([
    { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' },
    { name: 'prefers-reduced-motion', value: still ? 'reduce' : 'no-preference' },
  ]);
  if (token !== null) {
    await page.evaluateOnNewDocument((value) => {
      if (!sessionStorage.getItem('hookline.token')) sessionStorage.setItem('hookline.token', value);
    }, token);
  }
  return page;
}

/** Loads a page; from then on, a request to another host is a fault. */
export async function go(page, url, waitUntil = 'domcontentloaded') {
  page.origin = new URL(url).origin;
  await page.goto(url, { waitUntil });
}

/** Loads a page and waits for its heading. */
export async function visit(page, url, waitUntil) {
  await go(page, url, waitUntil);
  await page.waitForSelector('h1');
}

/** Waits until the first match of `selector` contains this text. */
export function reads(page, text, selector = 'body') {
  return page.waitForFunction((wanted, where) => document.querySelector(where)?.textContent.includes(wanted), {}, text, selector);
}

export function click(page, role, name) {
  return page.locator(`::-p-aria([name="${name}"][role="${role}"])`).click();
}

/** Presses Tab until the focus is on the element with this name. */
export async function tabTo(page, name) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent);
    if (focused?.trim() === name) return;
  }
  throw new Error(`The keyboard does not come to ${name}`);
}

/** Presses a button by the keyboard. */
export async function press(page, role, name) {
  await (await page.waitForSelector(`::-p-aria([name="${name}"][role="${role}"])`)).focus();
  await page.keyboard.press('Enter');
}

/** Waits until the focus is on the element with this name. */
export const focused = (page, name) =>
  page.waitForFunction(
    (wanted) => {
      const { ariaLabel, labels, textContent } = document.activeElement;
      return document.activeElement !== document.body && (ariaLabel ?? labels?.[0]?.textContent ?? textContent) === wanted;
    },
    {},
    name,
  );

/** Replaces the text of the field with this label. */
export async function fill(page, label, text) {
  const field = await page.waitForSelector(`::-p-aria([name="${label}"])`);
  await field.click({ count: 3 });
  await field.type(text);
}

export async function choose(page, label, value) {
  const field = await page.waitForSelector(`::-p-aria([name="${label}"])`);
  await field.select(value);
}

/** The error, with the page's address, faults and text added. */
export async function told(page, error) {
  const text = await page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ').slice(0, 1_500)).catch(() => 'nothing any more');
  return new Error(`${error.message}\n  at ${page.url()}\n  faults: ${page.faults.join(' | ') || 'none'}\n  the page says: ${text}`, { cause: error });
}

/** Opens a page, and asserts at the end that it had no faults. */
export async function inPage(browser, options, body) {
  const page = await openPage(browser, options);
  try {
    await body(page);
    assert.deepEqual(page.faults, []);
  } catch (error) {
    throw await told(page, error);
  } finally {
    await page.browserContext().close();
  }
}

/** The elements that hide a part of their width without saying so. Text that ends in an ellipsis says so. */
export function clipped(page) {
  return page.evaluate(() => {
    const hides = (element) => {
      const { overflowX, textOverflow } = getComputedStyle(element);
      return ['clip', 'hidden'].includes(overflowX) && textOverflow !== 'ellipsis' && element.clientWidth > 1 && element.scrollWidth > element.clientWidth + 1;
    };
    // Monaco, the editor of GraphiQL, scrolls by bars of its own.
    return [...document.querySelectorAll('main *:not(.monaco-editor *)')].filter(hides).map((element) => `${element.tagName}.${element.className}`);
  });
}

/** What axe-core finds, as lines to read. */
export async function audit(page) {
  await page.evaluate(`${AXE};0`);
  return page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.target.join(' ')).join(' | ')}`);
  });
}

/** The API as a test uses it beside the page. */
export function api(url, token) {
  return async (query, variables = {}) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    for (const payload of Object.values(data)) {
      if (payload?.errors?.length) throw new Error(JSON.stringify(payload.errors));
    }
    return data;
  };
}

/** A receiver on loopback. It notes each request and answers with `answer.status`, `answer.headers` and `answer.body`. */
export async function receive() {
  const requests = [];
  const answer = { status: 200, headers: {}, body: '{"received":true}' };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    requests.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers }).end(answer.body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, requests, answer, close: () => server.close() };
}

/** From then on, the API's answers to requests that `picks` accepts are lost. At the stage `Response` the server has done what was asked; at `Request` it has heard nothing. Returns what ends this. */
export async function losing(page, picks, requestStage = 'Request') {
  const wire = await page.createCDPSession();
  await wire.send('Fetch.enable', { patterns: [{ urlPattern: '*/graphql', requestStage }] });
  wire.on('Fetch.requestPaused', ({ requestId, request }) => {
    const isLost = request.method === 'POST' && picks(request.postData);
    // A request that was paused just before the line was mended goes on by itself.
    wire.send(isLost ? 'Fetch.failRequest' : 'Fetch.continueRequest', isLost ? { requestId, errorReason: 'ConnectionReset' } : { requestId }).catch(() => undefined);
  });
  return async () => {
    await wire.detach();
    page.faults = page.faults.filter((fault) => !fault.includes('ERR_CONNECTION_RESET'));
  };
}

/** From then on, `change` alters the API's answers to this operation before they reach the page. */
export async function changing(page, operation, change) {
  await page.setRequestInterception(true);
  page.on('request', async (request) => {
    if (!request.postData()?.includes(operation)) return request.continue();
    const answer = await fetch(request.url(), { method: 'POST', headers: request.headers(), body: request.postData() });
    return request.respond({ contentType: 'application/json', body: change(await answer.text()) });
  });
}

/** A line to the API that can be cut for real: sockets are destroyed, new ones refused. */
export async function line(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  const state = { isCut: false };
  const server = net.createServer((near) => {
    if (state.isCut) return near.destroy();
    const far = net.connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      state.isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      state.isCut = false;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
