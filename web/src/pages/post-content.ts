import { byField, type Faults } from '../api';
import type { FaultFragment, PostCoreFragment } from '../generated/graphql';
import { fromLocal, toLocal } from '../time';

/** What the form of a post holds. */
export interface Draft {
  body: string;
  chosen: readonly string[];
  variants: Readonly<Record<string, string>>;
  scheduledAt: string;
}

export const BLANK: Draft = { body: '', chosen: [], variants: {}, scheduledAt: '' };

/** What to do with the post. */
export type Intent = 'draft' | 'schedule' | 'publish';

/** The content of a post, as it is sent to the API. */
export interface Content {
  body: string;
  accountIds: string[];
  variants: { accountId: string; body: string }[];
  scheduledAt: string | null;
}

export function contentOf(draft: Draft, intent: Intent, planned: string | null): Content {
  return {
    body: draft.body,
    accountIds: [...draft.chosen],
    variants: draft.chosen.flatMap((accountId) => {
      const body = draft.variants[accountId];
      return body === undefined ? [] : [{ accountId, body }];
    }),
    scheduledAt: intent === 'schedule' ? timeOf(draft, planned) : null,
  };
}

/** When the post goes out. The field shows only minutes: a time that was not edited keeps its seconds. */
function timeOf(draft: Draft, planned: string | null): string | null {
  return planned !== null && draft.scheduledAt === toLocal(planned) ? planned : fromLocal(draft.scheduledAt);
}

export function draftOf(post: PostCoreFragment): Draft {
  return {
    body: post.body,
    chosen: post.accounts.map(({ account }) => account.id),
    variants: Object.fromEntries(post.variants.map(({ account, body }) => [account.id, body])),
    scheduledAt: post.scheduledAt ? toLocal(post.scheduledAt) : '',
  };
}

export function contentOfPost(post: PostCoreFragment): Content {
  return contentOf(draftOf(post), post.scheduledAt === null ? 'draft' : 'schedule', post.scheduledAt);
}

/** Whether both have the same text, accounts, variants and time, ignoring order and the notation of the time. */
export function isSame(one: Content, other: Content): boolean {
  const plain = ({ body, accountIds, variants, scheduledAt }: Content): string =>
    JSON.stringify([body, accountIds.toSorted(), variants.map((variant) => `${variant.accountId} ${variant.body}`).toSorted(), scheduledAt && Date.parse(scheduledAt)]);
  return plain(one) === plain(other);
}

/** The name under which faults of an account, or of its own text, are kept. */
export const ofAccount = (id: string): string => `account ${id}`;

/**
 * The faults of what was sent. A fault of an account or its text is kept under the account's id, not its index, which
 * changes when others are removed.
 */
export function faultsOf(errors: readonly FaultFragment[], { accountIds, variants }: Content): Faults {
  const ids: Record<string, readonly string[]> = { accountIds, variants: variants.map(({ accountId }) => accountId) };
  const named = errors.map((error) => {
    const [, list = '', number] = error.field ?? [];
    const id = number === undefined ? undefined : ids[list]?.[Number(number)];
    return id === undefined ? error : { ...error, field: [ofAccount(id)] };
  });
  return byField(named);
}
