import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

function notify(): void {
  for (const listener of listeners) listener();
}

/** True once a person has moved between pages. From then on, each new page moves the focus to its heading. */
export let hasNavigated = false;

/** What a history entry keeps of a page that was left: how far it was scrolled, and which link was followed. */
interface Left {
  y: number;
  to: string;
}

/** `pages`: how many pages of its list were open, if it has a list that is read page by page. */
type Step = Partial<Left> & { pages?: number };

function step(): Step {
  return (history.state as Step | null) ?? {};
}

/** How many pages of a list to read at first: as many as were open, after going back or a reload. */
export function openPages(): number {
  return step().pages ?? 1;
}

export function keepOpenPages(pages: number): void {
  history.replaceState({ ...step(), pages } satisfies Step, '');
}

/** The longest we wait for a page to become as long as it was when it was left. */
const RETURN_MS = 5_000;
let isReturning = 0;

/** Restores scroll position and focus once the page is long enough, unless the person scrolls, clicks or types. */
function returnTo({ y, to }: Left): void {
  const mine = ++isReturning;
  const end = performance.now() + RETURN_MS;
  let isThere = false;
  const place = (): void => {
    if (mine !== isReturning || performance.now() > end) return;
    if (!isThere) window.scrollTo({ top: y, behavior: 'instant' });
    isThere ||= Math.abs(window.scrollY - y) < 1;
    const link = isThere && document.querySelector<HTMLElement>(`main a[href="${CSS.escape(to)}"]`);
    if (link) link.focus({ preventScroll: true });
    else requestAnimationFrame(place);
  };
  requestAnimationFrame(place);
}

function stay(): void {
  isReturning++;
}

for (const move of ['wheel', 'touchstart', 'pointerdown', 'keydown']) window.addEventListener(move, stay, { passive: true });

window.addEventListener('popstate', () => {
  hasNavigated = true;
  stay();
  notify();
  const { y, to } = step();
  if (y !== undefined && to !== undefined) returnTo({ y, to });
});

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  // Like a browser, add no history entry for the page that is open already.
  if (options.replace || to === location.pathname + location.search) history.replaceState(null, '', to);
  else {
    history.replaceState({ ...step(), y: window.scrollY, to } satisfies Step, '');
    history.pushState(null, '', to);
  }
  stay();
  hasNavigated = true;
  if (!options.replace) window.scrollTo(0, 0);
  notify();
}

/** For use after an answer: navigates, unless the person has left the page they are on now. */
export function fromHere(): (to: string) => void {
  const here = location.pathname;
  return (to) => {
    if (location.pathname === here) navigate(to);
  };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.pathname);
}

/** One parameter of the address, and its setter (null removes it). The setter does nothing on any other page. */
export function useParameter(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(subscribe, () => new URLSearchParams(location.search).get(name));
  const page = location.pathname;
  const set = (next: string | null): void => {
    if (location.pathname !== page) return;
    const search = new URLSearchParams(location.search);
    if (next === null) search.delete(name);
    else search.set(name, next);
    const text = search.toString();
    navigate(location.pathname + (text ? `?${text}` : ''), { replace: true });
  };
  return [value, set];
}

/** Matches `/webhooks/:id` against a path; null if it does not match. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const actual = decode(given[index] ?? '');
    if (part.startsWith(':')) found[part.slice(1)] = actual;
    else if (part !== actual) return null;
  }
  return found;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function isPlainClick(event: MouseEvent): boolean {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      {...rest}
      href={href}
      onClick={(event) => {
        onClick?.(event);
        if (event.defaultPrevented || !isPlainClick(event)) return;
        event.preventDefault();
        navigate(href);
      }}
    />
  );
}

export const paths = {
  webhooks: '/webhooks',
  newWebhook: '/webhooks/new',
  webhook: (id: string) => `/webhooks/${encodeURIComponent(id)}`,
  editWebhook: (id: string) => `/webhooks/${encodeURIComponent(id)}/edit`,
  deliveries: '/deliveries',
  delivery: (id: string) => `/deliveries/${encodeURIComponent(id)}`,
  accounts: '/accounts',
  posts: '/posts',
  newPost: '/posts/new',
  post: (id: string) => `/posts/${encodeURIComponent(id)}`,
  signIn: '/signin',
  graphiql: '/graphiql',
};
