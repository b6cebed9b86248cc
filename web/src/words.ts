import type {
  AttemptOutcome,
  DeliveryStatus,
  DeliveryWaitReason,
  EventType,
  PostAccountStatus,
  PostStatus,
  Provider,
  Role,
  WebhookDisabledReason,
} from './generated/graphql';

/** In the order in which pages show them. */
export const EVENTS: Record<EventType, string> = {
  ACCOUNT_ADDED: 'Account Added',
  ACCOUNT_UPDATED: 'Account Updated',
  ACCOUNT_DELETED: 'Account Deleted',
  POST_SCHEDULED: 'Post Scheduled',
  POST_PUBLISHED: 'Post Published',
  POST_PUBLISHING_FAILED: 'Publishing Post Failed',
  POST_DELETED: 'Post Deleted',
  ACCOUNT_UNAUTHORIZED: 'Account Unauthorized',
  POST_CREATED: 'Post Created',
  POST_UPDATED: 'Post Updated',
};

export const EVENT_TYPES = Object.keys(EVENTS) as EventType[];

/** In the same order everywhere, whatever order they come in. */
export function eventNames(types: readonly EventType[]): string[] {
  return EVENT_TYPES.filter((type) => types.includes(type)).map((type) => EVENTS[type]);
}

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'idle' | 'off';

export const STATUSES: Record<DeliveryStatus, { label: string; tone: Tone }> = {
  PENDING: { label: 'Pending', tone: 'idle' },
  DELIVERING: { label: 'Delivering', tone: 'busy' },
  RETRYING: { label: 'Retrying', tone: 'warn' },
  SUCCEEDED: { label: 'Succeeded', tone: 'good' },
  FAILED: { label: 'Failed', tone: 'bad' },
  CANCELLED: { label: 'Cancelled', tone: 'off' },
};

export const DELIVERY_STATUSES = Object.keys(STATUSES) as DeliveryStatus[];

export function isFinished(status: DeliveryStatus): boolean {
  return status === 'SUCCEEDED' || status === 'FAILED' || status === 'CANCELLED';
}

export const WAITS: Record<DeliveryWaitReason, { label: string; advice: string }> = {
  QUEUED: { label: 'Waiting for a worker', advice: 'It goes out as soon as a worker is free, usually within a second.' },
  BACKOFF: {
    label: 'Waiting to try again',
    advice: 'The last attempt failed. Fix the receiver and the delivery recovers by itself, or cancel it and send it again once the receiver is fixed.',
  },
  RETRY_AFTER: {
    label: 'The receiver asked for a pause',
    advice: 'It answered with Retry-After, and that is respected. There is nothing to do unless the pause is longer than you meant.',
  },
  CIRCUIT_OPEN: {
    label: 'Sparing the endpoint',
    advice: 'The endpoint could not be reached several times in a row, so it gets only a probe now and then. Once it answers, with any status, all waiting deliveries go out.',
  },
  WEBHOOK_INACTIVE: {
    label: 'The webhook is not active',
    advice: 'Activate the webhook and it goes out, or cancel it.',
  },
};

export const DISABLED: Record<WebhookDisabledReason, { label: string; advice: string }> = {
  FAILING: {
    label: 'Switched off: it kept failing',
    advice:
      'No delivery has succeeded for five days, or as long as the operator allows. Look at the failed deliveries below, fix the receiver, then activate the webhook. What failed meanwhile can be replayed.',
  },
  GONE: {
    label: 'Switched off: the receiver answered 410 Gone',
    advice: 'The receiver said that it will never be back. Give the webhook a new callback URL, then activate it.',
  },
};

export const OUTCOMES: Record<AttemptOutcome, { label: string; advice: string | null }> = {
  SUCCEEDED: { label: 'Succeeded', advice: null },
  HTTP_ERROR: { label: 'Not a 2xx answer', advice: null },
  TIMED_OUT: { label: 'Timed out', advice: 'If no connection was accepted, look for a firewall in between. Otherwise answer first and do the work afterwards: a receiver has 15 seconds for the whole request, or as long as the operator allows.' },
  CONNECTION_FAILED: { label: 'No connection', advice: 'Check that the server runs, listens on this port, and that no firewall is in between.' },
  DNS_FAILED: { label: 'Name not found', advice: 'Check the host name in the callback URL for a typo, and that its DNS record is public.' },
  TLS_FAILED: { label: 'No secure connection', advice: 'Check that the certificate is valid, complete with its chain, and made out to this host name.' },
  ADDRESS_REFUSED: { label: 'Address refused', advice: 'Deliveries go to public addresses only. Use one, or ask the operator to allow this network.' },
  INVALID_RESPONSE: { label: 'Not understood', advice: 'What came back was not a usable HTTP response. Check the port and the proxy in front of the receiver.' },
  INTERRUPTED: { label: 'Interrupted', advice: 'The worker died, or could not send, so it may or may not have arrived. It does not count as an attempt.' },
};

/** What to do about an answer that is not 2xx. */
export function adviceOnStatus(status: number): string {
  if (status >= 300 && status < 400) return 'Put the final address into the callback URL.';
  if (status === 401 || status === 403) return 'The receiver requires credentials, or its check of the signature failed. Compare the secrets, or send a header it accepts.';
  if (status === 404) return 'There is nothing at this path. Check the callback URL.';
  if (status === 405) return 'The receiver does not take this method. Choose the one that it expects.';
  if (status === 410) return 'The receiver said that it is gone for good, so the webhook was switched off.';
  if (status === 413) return 'The body is too large for the receiver. Raise its limit.';
  if (status === 415 || status === 400 || status === 422) return 'The receiver did not understand the body. Check the content type that it expects.';
  if (status === 429) return 'The receiver gets more requests than it accepts. It can say for how long to pause with Retry-After.';
  if (status >= 500) return 'The receiver failed while it handled the request. Check its own log.';
  return 'The receiver has to answer with a status from 200 to 299.';
}

export const POST_STATUSES: Record<PostStatus, { label: string; tone: Tone }> = {
  DRAFT: { label: 'Draft', tone: 'off' },
  SCHEDULED: { label: 'Scheduled', tone: 'idle' },
  PUBLISHING: { label: 'Publishing', tone: 'busy' },
  PUBLISHED: { label: 'Published', tone: 'good' },
  FAILED: { label: 'Failed', tone: 'bad' },
};

export const POST_ACCOUNT_STATUSES: Record<PostAccountStatus, { label: string; tone: Tone }> = {
  PENDING: { label: 'Pending', tone: 'idle' },
  PUBLISHED: { label: 'Published', tone: 'good' },
  FAILED: { label: 'Failed', tone: 'bad' },
};

export const PROVIDERS: Record<Provider, string> = { MASTODON: 'Mastodon', BLUESKY: 'Bluesky', SANDBOX: 'Sandbox' };

export const ROLES: Record<Role, string> = { ADMIN: 'Admin', MEMBER: 'Member', VIEWER: 'Viewer' };
