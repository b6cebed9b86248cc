import { useEffect } from 'react';
import { type AccountCoreFragment, AccountsDocument } from './generated/graphql';
import { usePaged } from './paged';

/** Every account of the workspace (at most 500); null until all are read. */
export function useAllAccounts(): { accounts: readonly AccountCoreFragment[] | null; problem: string | null; reload(): void } {
  const { nodes, problem, busy, hasMore, more, reload } = usePaged(AccountsDocument, {}, (data) => data.accounts);
  const isWaiting = hasMore && !busy && problem === null;
  useEffect(() => {
    if (isWaiting) more();
  });
  return { accounts: hasMore && problem === null ? null : nodes, problem, reload };
}
