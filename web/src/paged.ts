import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { run } from './api';
import { keepOpenPages, openPages } from './router';
import { say } from './ui/toast';

interface Page<Node> {
  nodes: readonly Node[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

/** A list that is read page by page. */
export interface Paged<Node> {
  /** Null until something was read. */
  nodes: readonly Node[] | null;
  /** Whether they are of this filter, and not yet of the one before. */
  isOfFilter: boolean;
  /** Why what is shown may be old, or why nothing is. */
  problem: string | null;
  /** Whether more was asked for and is not there yet. */
  busy: boolean;
  hasMore: boolean;
  more(): void;
  /** Reads as many pages again as are open. What is shown stays until then, and where that fails. */
  reload(): void;
}

interface Shown<Node> {
  /** The filter. */
  of: string | null;
  pages: readonly Page<Node>[];
  problem: string | null;
}

/**
 * The list that `pageOf` finds in the answers to a query with these variables. Those that `moving` gives are other ones
 * at each reading, and make no other list.
 */
export function usePaged<Data, Filter extends object, Node, Moving extends object = object>(
  document: TypedDocumentNode<Data, Filter & Moving & { after?: string | null }>,
  filter: Filter,
  pageOf: (data: Data) => Page<Node>,
  moving?: () => Moving,
): Paged<Node> {
  const client = useClient();
  const [shown, setShown] = useState<Shown<Node>>({ of: null, pages: [], problem: null });
  const [busy, setBusy] = useState(false);
  // A reading that another one has overtaken shows nothing any more.
  const turn = useRef(0);
  const isReading = useRef(false);
  const again = useRef(false);
  /** How many pages are to be shown, which may grow while they are read. */
  const wanted = useRef(1);
  const of = JSON.stringify(filter);

  /** Reads on from these pages until there are as many as are wanted; gives what went wrong. */
  const read = async (known: readonly Page<Node>[]): Promise<string | null> => {
    const mine = ++turn.current;
    isReading.current = true;
    const pages = [...known];
    let problem: string | null = null;
    while (pages.length < wanted.current && problem === null && (pages.at(-1)?.pageInfo.hasNextPage ?? true)) {
      const variables = { ...filter, ...(moving?.() as Moving), after: pages.at(-1)?.pageInfo.endCursor ?? null };
      const result = await run(client, 'query', document, variables);
      if (mine !== turn.current) return null;
      if (result.data === null) problem = result.problem;
      else pages.push(pageOf(result.data));
    }
    isReading.current = false;
    setBusy(false);
    setShown((before) => (problem === null ? { of, pages, problem } : { ...before, problem }));
    if (again.current) {
      again.current = false;
      void read([]);
    }
    return problem;
  };

  // Where the filter is another one, another list begins.
  useEffect(() => {
    wanted.current = openPages();
    void read([]);
    return () => {
      turn.current++;
      again.current = false;
    };
  }, [of]);

  return {
    nodes: shown.pages.length > 0 ? shown.pages.flatMap((page) => page.nodes) : null,
    isOfFilter: shown.of === of,
    problem: shown.problem,
    busy,
    hasMore: shown.pages.at(-1)?.pageInfo.hasNextPage ?? false,
    more: () => {
      wanted.current = shown.pages.length + 1;
      keepOpenPages(wanted.current);
      setBusy(true);
      if (!isReading.current) void read(shown.pages).then((problem) => problem && say(problem, true));
    },
    reload: () => {
      if (isReading.current) again.current = true;
      else void read([]);
    },
  };
}
