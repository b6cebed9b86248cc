import { useEffect, useState } from 'react';
import { useClient } from 'urql';
import { run } from '../api';
import { PostPreviewDocument, type Provider } from '../generated/graphql';
import { Button } from '../ui/basics';
import { CheckBox, TextArea } from '../ui/form';
import { PROVIDERS } from '../words';
import type { Draft } from './post-content';

const COUNT_AFTER_MS = 250;

/** An account that a post may go to, or was to go to before it was deleted. */
export interface Choice {
  id: string;
  name: string;
  provider: Provider;
  authorized: boolean;
  deleted?: boolean;
}

interface Count {
  length: number;
  limit: number;
}

/** The length as the account's network counts it, including its rule for links. It is read when typing pauses. */
function useCount(body: string, accountId: string): Count | null {
  const client = useClient();
  const [count, setCount] = useState<Count | null>(null);
  useEffect(() => {
    let isCurrent = true;
    const timer = setTimeout(() => {
      void run(client, 'query', PostPreviewDocument, { body, accountId }).then(({ data }) => {
        if (isCurrent && data) setCount(data.postPreview ?? null);
      });
    }, COUNT_AFTER_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [client, body, accountId]);
  return count;
}

function Counter({ body, account }: { body: string; account: Choice }) {
  const count = useCount(body, account.id);
  if (count === null) return null;
  const over = count.length - count.limit;
  return (
    <span className={`counter ${over > 0 ? 'counter-over' : ''}`}>
      {count.length} / {count.limit}
      <span className="visually-hidden"> characters on {account.name}</span>
      {over > 0 && <strong> {over} too many</strong>}
    </span>
  );
}

/** Why nothing can be published to this account at present. */
export function warning({ authorized, deleted }: Pick<Choice, 'authorized' | 'deleted'>): string | undefined {
  if (deleted) return 'It was deleted, and nothing can be published there any more: take it out.';
  return authorized ? undefined : 'Refused by the network: authorise it again under Accounts.';
}

interface AccountProps {
  account: Choice;
  draft: Draft;
  error: string | undefined;
  change(part: Partial<Draft>): void;
}

export function AccountChoice({ account, draft, error, change }: AccountProps) {
  const isChosen = draft.chosen.includes(account.id);
  const variant = draft.variants[account.id];
  // The account's own text and the button that adds it replace each other; the focus moves along.
  const [isSwapped, setSwapped] = useState(false);
  const choose = (on: boolean): void => {
    setSwapped(false);
    change({ chosen: on ? [...draft.chosen, account.id] : draft.chosen.filter((id) => id !== account.id) });
  };
  const setVariant = (text: string | undefined): void => {
    setSwapped(true);
    const { [account.id]: _, ...others } = draft.variants;
    change({ variants: text === undefined ? others : { ...others, [account.id]: text } });
  };
  return (
    <div className="account-choice">
      <div className="account-choice-head">
        <CheckBox
          checked={isChosen}
          onChange={(event) => choose(event.target.checked)}
          label={
            <>
              <bdi>{account.name}</bdi> <span className="muted">{PROVIDERS[account.provider]}</span>
            </>
          }
          hint={warning(account)}
          error={isChosen && variant === undefined ? error : undefined}
        />
        {isChosen && <Counter body={variant ?? draft.body} account={account} />}
      </div>
      {isChosen && variant === undefined && (
        <Button kind="quiet" autoFocus={isSwapped} onClick={() => setVariant(draft.body)}>
          Say something else here<span className="visually-hidden">, on {account.name}</span>
        </Button>
      )}
      {isChosen && variant !== undefined && (
        <TextArea
          label={<>On <bdi>{account.name}</bdi></>}
          rows={3}
          dir="auto"
          autoFocus={isSwapped}
          value={variant}
          error={error}
          onChange={(event) => setVariant(event.target.value)}
          beside={
            <Button kind="quiet" onClick={() => setVariant(undefined)}>
              Same as the others
            </Button>
          }
        />
      )}
    </div>
  );
}
