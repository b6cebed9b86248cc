import create from './examples/1-create-a-webhook.graphql?raw';
import watch from './examples/2-watch-deliveries.graphql?raw';
import account from './examples/3-add-an-account.graphql?raw';
import post from './examples/4-publish-a-post.graphql?raw';
import failed from './examples/5-what-failed.graphql?raw';
import replay from './examples/6-replay.graphql?raw';

export interface Example {
  query: string;
  variables?: string;
}

function variables(values: Record<string, unknown>): string {
  return JSON.stringify(values, null, 2);
}

/** The tabs of a first visit, in their order. */
export const EXAMPLES: Example[] = [
  { query: create, variables: variables({ callbackUrl: 'https://example.com/webhooks' }) },
  { query: watch },
  { query: account },
  { query: post, variables: variables({ body: 'Hello from Hookline', accountIds: ['<the id of an account>'], id: '<the id of the post>' }) },
  { query: failed },
  { query: replay, variables: variables({ webhookId: '<the id of a webhook>', since: '2026-01-01T00:00:00Z', id: '<the id of the replay>' }) },
];
