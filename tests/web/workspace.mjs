// The workspace that tests fill and query beside the page. test_dashboard.py says where it is.
import { api, PATIENCE_MS } from './browser.mjs';

export const { LINK: link, HOOKLINE_URL: url, HOOKLINE_TOKEN: token, WORKER_PID: worker, LARGE_WEBHOOK: largeWebhook, NEW_TOKEN: newToken, REDIS_URL: redisUrl, PYTHON: python } = process.env;
export const ask = api(url, token);
/** Part of names, because a second run on the same data must not find the accounts of the first. */
export const RUN = Date.now().toString(36);
export const SECRET = 'a secret of the five steps';

export const path_ = (id) => encodeURIComponent(id);

export async function addWebhook(name, callbackUrl, events = ['ACCOUNT_ADDED'], secret = SECRET) {
  const { webhookCreate } = await ask(
    `mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) { webhook { id } errors { message field } } }`,
    { input: { name, callbackUrl, events, secret, maxAttempts: 1 } },
  );
  return webhookCreate.webhook.id;
}

export async function addAccount(name, where = { provider: 'SANDBOX', server: 'ok', identifier: name }) {
  const { accountAdd } = await ask(
    `mutation($input: AccountAddInput!) { accountAdd(input: $input) { account { id } errors { message } } }`,
    { input: { name, ...where } },
  );
  return accountAdd.account.id;
}

export async function addPost(input) {
  const { postCreate } = await ask('mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } errors { message } } }', { input });
  return postCreate.post.id;
}

export const testEvent = async (id) =>
  (await ask(`mutation($id: ID!) { webhookTest(id: $id, eventType: POST_PUBLISHED) { delivery { id } errors { message } } }`, { id })).webhookTest.delivery.id;

export async function delivered(id, wanted = ['SUCCEEDED', 'FAILED']) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const { delivery } = await ask(`query($id: ID!) { delivery(id: $id) { status } }`, { id });
    if (wanted.includes(delivery.status)) return delivery.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('It was never delivered');
}
