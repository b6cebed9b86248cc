import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { createContext, useContext, useRef } from 'react';
import { type AnyVariables, cacheExchange, Client, type CombinedError, fetchExchange, mapExchange } from 'urql';
import type { FaultFragment, ViewerQuery } from './generated/graphql';
import { refuse } from './session';

export const REFUSED = 'The server no longer accepts this token: it has expired or was revoked.';

function codeOf(error: CombinedError): string | null {
  for (const fault of error.graphQLErrors) {
    if (typeof fault.extensions.code === 'string') return fault.extensions.code;
  }
  return null;
}

export function isUnauthenticated(error: CombinedError): boolean {
  const response: unknown = error.response;
  return codeOf(error) === 'UNAUTHENTICATED' || (response instanceof Response && response.status === 401);
}

export function createApi(token: string): Client {
  return new Client({
    url: '/graphql',
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    fetchOptions: { headers: { Authorization: `Bearer ${token}` } },
    exchanges: [
      mapExchange({
        onError(error) {
          if (isUnauthenticated(error)) refuse(token, REFUSED);
        },
      }),
      cacheExchange,
      fetchExchange,
    ],
  });
}

/** Turns any error into one sentence for a person. */
export function sentence(error: CombinedError): string {
  if (error.networkError) return 'The server cannot be reached. Check your connection and try again.';
  switch (codeOf(error)) {
    case 'FORBIDDEN':
      return 'Your token may not do this. Ask for one with a higher role.';
    case 'RATE_LIMITED':
      return 'Too many requests in a short time. Wait a moment and try again.';
    case 'INTERNAL':
      return `Something went wrong on the server. ${error.graphQLErrors[0]?.message ?? ''}`.trim();
    default:
      return error.graphQLErrors[0]?.message ?? error.message;
  }
}

export type Faults = ReadonlyMap<string, string>;

/** Sorts the API's errors under the fields that they belong to: `["input", "callbackUrl"]` becomes `callbackUrl`. */
export function byField(errors: readonly FaultFragment[]): Faults {
  const found = new Map<string, string>();
  for (const error of errors) {
    const path = (error.field ?? []).filter((part, index) => !(index === 0 && part === 'input')).join('.');
    const before = found.get(path);
    found.set(path, before ? `${before} ${error.message}` : error.message);
  }
  return found;
}

export type Result<Data> = { data: Data; problem: null } | { data: null; problem: string };

/** Runs a mutation, or a query that bypasses the cache. Never throws. */
export async function run<Data, Variables extends AnyVariables>(
  client: Client,
  kind: 'query' | 'mutation',
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Result<Data>> {
  const result =
    kind === 'query'
      ? await client.query(document, variables, { requestPolicy: 'network-only' }).toPromise()
      : await client.mutation(document, variables).toPromise();
  if (result.error) return { data: null, problem: sentence(result.error) };
  if (result.data === undefined) return { data: null, problem: 'The server gave no answer.' };
  return { data: result.data, problem: null };
}

/** The last data read of the object `of`: urql itself forgets it if a later read fails. */
export function useLast<Data>(data: Data | undefined, of: string): Data | undefined {
  const last = useRef({ of, data });
  if (data !== undefined || last.current.of !== of) last.current = { of, data };
  return last.current.data;
}

export type Viewer = ViewerQuery['viewer'];

export const ViewerContext = createContext<Viewer | null>(null);

function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (viewer === null) throw new Error('Used outside of a session');
  return viewer;
}

export function useMay(): { manageWebhooks: boolean; publish: boolean } {
  const { role } = useViewer().token;
  return { manageWebhooks: role === 'ADMIN', publish: role !== 'VIEWER' };
}
