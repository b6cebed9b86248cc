import { useSyncExternalStore } from 'react';
import { ofTab, TOKEN_KEY } from './storage';

/** Prefix of the keys under which unsaved input is stored. */
const KEPT = 'hookline.kept.';

/** Keeps what a person typed until they save it, sign out or close the tab; null forgets it. */
export function preserve(name: string, value: unknown): void {
  if (value === null) ofTab.removeItem(KEPT + name);
  else ofTab.setItem(KEPT + name, JSON.stringify(value));
}

/** What was kept under this name, by this or an earlier version of the page; null if there is nothing. */
export function restored<Value>(name: string): Value | null {
  const kept = ofTab.getItem(KEPT + name);
  return kept === null ? null : (JSON.parse(kept) as Value);
}

/**
 * New secrets by webhook id, between the answer that carried them and the page that shows them once. They are kept in
 * memory only. Signing out replaces the map, so that an answer that arrives later reaches no other session.
 */
export let secrets = new Map<string, string>();

export interface Session {
  token: string | null;
  /** Why there is no token any more, to say on the page that asks for one. */
  refusal: string | null;
}

let session: Session = { token: ofTab.getItem(TOKEN_KEY), refusal: null };
const listeners = new Set<() => void>();

function become(next: Session): void {
  session = next;
  if (next.token === null) ofTab.removeItem(TOKEN_KEY);
  else ofTab.setItem(TOKEN_KEY, next.token);
  for (const listener of listeners) listener();
}

export function signIn(token: string): void {
  become({ token, refusal: null });
}

export function signOut(): void {
  const names = Array.from({ length: ofTab.length }, (_, index) => ofTab.key(index));
  for (const name of names) if (name?.startsWith(KEPT)) ofTab.removeItem(name);
  secrets = new Map();
  become({ token: null, refusal: null });
}

/** The server no longer accepts this token: drop it and say so, unless another one has replaced it meanwhile. */
export function refuse(token: string, refusal: string): void {
  if (session.token === token) become({ token: null, refusal });
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}

const USED = 'This link was used already or is too old: each works once, for a few minutes. `hookline signin` prints a new one; or sign in with a token.';

/** Its message is a sentence for a person. */
export class CodeRefused extends Error {}

/** Exchanges the one-time code that `hookline up` printed for a token. Throws CodeRefused if the server refuses it, or cannot take it now. */
export async function exchangeCode(code: string): Promise<string> {
  const response = await fetch('/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ code }),
  });
  const answer = (await response.json()) as { token: string } | { errors: [{ message: string }] };
  if ('token' in answer) return answer.token;
  throw new CodeRefused(response.status === 401 ? USED : answer.errors[0].message);
}
