// How pages look, and what axe-core finds.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { audit, clipped, click, go, reads, visit } from '../browser.mjs';
import { makeWebhook, screenshots, using } from '../stage.mjs';
import { addAccount, addPost, ask, delivered, largeWebhook, path_, RUN, testEvent, url } from '../workspace.mjs';

/** The violations of GraphiQL itself: its tabs contain their close buttons, and its parts lie outside of regions. */
const OF_GRAPHIQL = /^serious nested-interactive: \.graphiql-tab|^moderate region: ul/;

test('every page passes axe-core, fits its window and breaks no policy, in both themes, on a phone, a tablet and a wide screen', async () => {
  const first = async (field, fields) => (await ask(`query { ${field}(first: 50) { nodes { id ${fields} } } }`))[field].nodes;
  const webhooks = await first('webhooks', 'name');
  const of = (name) => path_(webhooks.find((webhook) => webhook.name === name).id);
  const delivery = async (status) => {
    const found = await ask(`query($of: [DeliveryStatus!]) { deliveries(first: 1, filter: {statuses: $of}) { nodes { id } } }`, { of: [status] });
    return path_(found.deliveries.nodes[0].id);
  };
  const [post] = await first('posts', '');
  await addAccount(`${'long'.repeat(45)} ${RUN}`);
  const pages = {
    webhooks: '/webhooks',
    create: '/webhooks/new',
    webhook: `/webhooks/${path_(largeWebhook)}`,
    replayed: `/webhooks/${of('Replayed')}`,
    edit: `/webhooks/${of('Replayed')}/edit`,
    deliveries: '/deliveries',
    succeeded: `/deliveries/${await delivery('SUCCEEDED')}`,
    failed: `/deliveries/${await delivery('FAILED')}`,
    cancelled: `/deliveries/${await delivery('CANCELLED')}`,
    accounts: '/accounts',
    posts: '/posts',
    compose: '/posts/new',
    post: `/posts/${path_(post.id)}`,
    nowhere: '/nowhere',
    graphiql: '/graphiql/',
  };
  const looks = { light: {}, dark: { dark: true }, tablet: { width: 820, height: 1100 }, phone: { width: 390, height: 844 }, wide: { width: 1440, height: 900 } };
  const found = [];
  const judge = async (page, name, address, look) => {
    await visit(page, url + address, 'networkidle0');
    // What axe-core judges does not depend on the width; whether a page fits does.
    if (look !== 'wide') found.push(...(await audit(page)).filter((violation) => !OF_GRAPHIQL.test(violation)).map((violation) => `${name}, ${look}: ${violation}`));
    found.push(...(await clipped(page)).map((element) => `${name}, ${look}: ${element} hides a part of itself`));
    const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (width > 0) found.push(`${name}, ${look}: ${width} px too wide`);
    if (screenshots) await page.screenshot({ path: path.join(screenshots, `${name}-${look}.png`) });
  };
  // All looks at once, each in a tab of its own: most of the time goes into waiting for pages to come to rest.
  const tabs = Object.entries(looks).map(async ([look, options]) => {
    await using({ ...options, token: null }, (page) => judge(page, 'signin', '/signin', look));
    await using(options, async (page) => {
      for (const [name, address] of Object.entries(pages)) await judge(page, name, address, look);
    });
  });
  await Promise.all(tabs);
  assert.deepEqual(found, []);
});

test('a name that is written from right to left reads the same within a sentence as alone', async () => {
  const name = `ערוץ ${RUN} 24!`;
  const post = await addPost({ body: 'Goes to both directions', accountIds: [await addAccount(name)] });
  await ask('mutation($id: ID!) { postPublish(id: $id) { errors { message } } }', { id: post });
  await using({}, async (page) => {
    // The last character stands left of the first one.
    const isRightToLeft = (selector) =>
      page.$$eval(
        selector,
        (elements, wanted) => {
          const texts = document.createTreeWalker(elements.find(({ textContent }) => textContent.includes(wanted)), NodeFilter.SHOW_TEXT);
          while (!texts.nextNode().data.includes(wanted));
          const { currentNode: text } = texts;
          const at = (index) => {
            const range = new Range();
            range.setStart(text, index);
            range.setEnd(text, index + 1);
            return range.getBoundingClientRect().left;
          };
          const start = text.data.indexOf(wanted);
          return at(start + wanted.length - 1) < at(start);
        },
        name,
      );
    await visit(page, `${url}/posts/new`);
    await reads(page, name, 'main');
    assert.ok(await isRightToLeft('.account-choice label'));
    await click(page, 'button', 'Cancel');
    await visit(page, `${url}/posts/${path_(post)}`);
    await reads(page, 'See it on', 'main');
    assert.ok(await isRightToLeft('.post-account a'));
    await visit(page, `${url}/accounts`);
    await click(page, 'button', `Delete ${name}`);
    await reads(page, name, 'dialog h2');
    assert.ok(await isRightToLeft('dialog h2'));
    await click(page, 'button', 'Delete the account');
    await reads(page, name, '.toasts');
    assert.ok(await isRightToLeft('.toast'));
  });
});

test('paper shows all that is loaded, whole and on white, and nothing to press', async () => {
  const sent = await testEvent(await makeWebhook('Printed'));
  await delivered(sent);
  await using({}, async (page) => {
    await page.evaluateOnNewDocument(() => localStorage.setItem('hookline.theme', 'dark'));
    await visit(page, `${url}/webhooks/${path_(largeWebhook)}`);
    await page.waitForSelector('.rows .row');
    await page.evaluate(() => {
      window.addEventListener('beforeprint', () => {
        window.printed = [document.querySelectorAll('.rows .row').length, Number.parseInt(document.querySelector('.table-foot').textContent)];
      });
    });
    await page.pdf({ format: 'A4' });
    const [drawn, loaded] = await page.evaluate(() => window.printed);
    assert.equal(drawn, loaded);

    await page.emulateMediaType('print');
    // A4 within its margins.
    await page.setViewport({ width: 714, height: 1_040 });
    await visit(page, `${url}/deliveries/${path_(sent)}`);
    await page.waitForSelector('.code-block');
    const seen = await page.$$eval('nav, nav ul, main button:not([role=tab])', (all) => all.filter((element) => element.checkVisibility()).map(({ textContent }) => textContent));
    assert.deepEqual(seen, []);
    assert.deepEqual(await page.$$eval('.code-block pre', (all) => all.filter((pre) => pre.scrollHeight > pre.clientHeight + 1).map((pre) => pre.ariaLabel)), []);
    assert.match(await page.$eval('.panel', (panel) => getComputedStyle(panel).backgroundColor), /^rgb\(255, 255, 255\)$/);
  });
});

test('nothing moves by itself where motion is not wanted', async () => {
  const endless = (page) => page.evaluate(() => document.getAnimations().filter(({ effect }) => effect.getTiming().iterations === Infinity).length);
  for (const still of [false, true]) {
    await using({ still }, async (page) => {
      await page.setRequestInterception(true);
      // Without an answer, the page keeps showing its spinner.
      page.on('request', (request) => (request.url().endsWith('/graphql') && request.method() === 'POST' ? undefined : request.continue()));
      await go(page, `${url}/webhooks`);
      await page.waitForSelector('.spinner');
      assert.equal((await endless(page)) > 0, !still);
    });
  }
});

test('what stands below the chart stays where it is when the figures come', async () => {
  const hook = await makeWebhook('Counted late');
  await delivered(await testEvent(hook));
  for (const width of [1280, 390]) {
    await using({ width }, async (page) => {
      let answer = null;
      await page.setRequestInterception(true);
      page.on('request', (request) => {
        if (request.postData()?.includes('query WebhookChart')) answer = () => request.continue();
        else request.continue();
      });
      await visit(page, `${url}/webhooks/${path_(hook)}`);
      const row = await page.waitForSelector('.rows .row');
      const top = () => row.evaluate((element) => element.getBoundingClientRect().top + scrollY);
      await page.waitForSelector('.chart[aria-busy=true]');
      const before = await top();
      answer();
      await page.waitForSelector('.chart[aria-busy=false]');
      assert.equal(await top(), before);
    });
  }
});

test('people with colours of their own see which page and which tab they are on, and what the chart shows', async () => {
  const hook = await makeWebhook('In other colours');
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
  const hook = await makeWebhook('Charted');
  await delivered(await testEvent(hook));
  await using({}, async (page) => {
    await visit(page, `${url}/webhooks/${path_(hook)}`);
    await page.waitForSelector('.plot');
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      // The contrast ratio of WCAG 1.4.11.
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
