import { useSyncExternalStore } from 'react';

/** The only place where the token is kept: it goes with the tab. GraphiQL reads the same key. */
export const TOKEN_KEY = 'hookline.token';

export interface Session {
  token: string | null;
  /** Why there is no token any more, to say on the page that asks for one. */
  refusal: string | null;
}

let session: Session = { token: sessionStorage.getItem(TOKEN_KEY), refusal: null };
const listeners = new Set<() => void>();

function become(next: Session): void {
  session = next;
  if (next.token === null) sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, next.token);
  for (const listener of listeners) listener();
}

export function signIn(token: string): void {
  become({ token, refusal: null });
}

export function signOut(): void {
  become({ token: null, refusal: null });
}

/** The server no longer takes the token: drop it and say so. */
export function refuse(refusal: string): void {
  if (session.token !== null) become({ token: null, refusal });
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

export class CodeRefused extends Error {}

/** Exchanges the one-time code that `hookline up` printed for a token. Throws CodeRefused where it was used or is too old. */
export async function exchangeCode(code: string): Promise<string> {
  const response = await fetch('/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ code }),
  });
  if (!response.ok) throw new CodeRefused(String(response.status));
  const answer: unknown = await response.json();
  if (typeof answer === 'object' && answer !== null && 'token' in answer && typeof answer.token === 'string') return answer.token;
  throw new CodeRefused('no token in the answer');
}
