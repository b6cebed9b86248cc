import { type RefObject, useEffect } from 'react';

/** What may take the focus unasked. A key still held down must not edit a field, nor publish, send or cancel. */
const TAKERS = 'a[href], summary, button:not(.button-primary, .button-danger)';

/** The takers after `of`, nearest first, as Tab would reach them, then those before it, nearest first. */
function neighbours(of: Element, takers: readonly HTMLElement[]): HTMLElement[] {
  const follows = (taker: Element): boolean => (of.compareDocumentPosition(taker) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
  return [...takers.filter(follows), ...takers.filter((taker) => taker !== of && !follows(taker)).reverse()];
}

/** If the focused element goes away, such as a button that did its work, a neighbour or else the heading takes over. */
export function useKeptFocus(place: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const within = place.current;
    if (within === null) return;
    let focused: Element | null = null;
    let takers: readonly HTMLElement[] = [];
    const remember = ({ target }: FocusEvent): void => {
      // Virtual rows come and go as the page scrolls; the browser keeps the place there.
      focused = target instanceof Element && target.closest('.rows') === null ? target : null;
      takers = focused === null ? [] : neighbours(focused, [...within.querySelectorAll<HTMLElement>(TAKERS)]);
    };
    const keep = (): void => {
      if (focused === null || focused.isConnected || document.activeElement !== document.body) return;
      const takes = (element: HTMLElement | null): boolean => {
        element?.focus({ preventScroll: true });
        return element !== null && document.activeElement === element;
      };
      if (!takers.some(takes)) takes(within.querySelector('h1'));
    };
    const observer = new MutationObserver(keep);
    observer.observe(within, { childList: true, subtree: true });
    within.addEventListener('focusin', remember);
    return () => {
      observer.disconnect();
      within.removeEventListener('focusin', remember);
    };
  }, [place]);
}
