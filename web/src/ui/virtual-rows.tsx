import { type ReactNode, useEffect, useEffectEvent, useLayoutEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { rowOfLink } from './basics';

const BEYOND = 10;
/** How many rows before the end the next page is requested. */
const AHEAD = 30;

interface VirtualRowsProps<Item> {
  items: readonly Item[];
  keyOf(item: Item): string;
  /** In rem, so that rows grow with the reader's text size. */
  heightRem: number;
  render(item: Item): ReactNode;
  onNearEnd(): void;
}

interface Range {
  from: number;
  to: number;
}

function remPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}

/** Draws only the rows that the window shows. The page itself scrolls; there is no scroll box inside it. */
export function VirtualRows<Item>({ items, keyOf, heightRem, render, onNearEnd }: VirtualRowsProps<Item>) {
  const body = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<Range>({ from: 0, to: 40 });
  const height = heightRem * remPx();
  const firstSeen = useRef<{ key: string; index: number } | null>(null);

  const look = useEffectEvent(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0;
    const first = Math.max(0, Math.floor(-top / height));
    const from = Math.max(0, first - BEYOND);
    const to = Math.min(items.length, Math.ceil((window.innerHeight - top) / height) + BEYOND);
    setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
    const seen = items[first];
    firstSeen.current = top < 0 && seen !== undefined ? { key: keyOf(seen), index: first } : null;
    if (to >= items.length - AHEAD) onNearEnd();
  });

  // A print shows every loaded row, and all must be rendered before it starts.
  const drawAll = useEffectEvent(() => flushSync(() => setRange({ from: 0, to: items.length })));

  useEffect(() => {
    let frame = 0;
    const onMove = (): void => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => look());
    };
    window.addEventListener('scroll', onMove, { passive: true });
    window.addEventListener('resize', onMove);
    const onPrint = (): void => drawAll();
    window.addEventListener('beforeprint', onPrint);
    window.addEventListener('afterprint', onMove);
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener('scroll', onMove);
      window.removeEventListener('resize', onMove);
      window.removeEventListener('beforeprint', onPrint);
      window.removeEventListener('afterprint', onMove);
    };
  }, []);

  // Rows that arrive above what a person is reading must not push it away.
  useLayoutEffect(() => {
    const seen = firstSeen.current;
    if (seen !== null) {
      const index = items.findIndex((item) => keyOf(item) === seen.key);
      if (index > seen.index) window.scrollBy({ top: (index - seen.index) * height, behavior: 'instant' });
    }
    look();
  }, [items, height]);

  const shown = items.slice(range.from, range.to);
  return (
    <div ref={body} className="rows" role="rowgroup" style={{ height: items.length * height }}>
      {shown.map((item, index) => (
        <div
          key={keyOf(item)}
          role="row"
          aria-rowindex={range.from + index + 2}
          className="row"
          {...rowOfLink}
          style={{ height, transform: `translateY(${(range.from + index) * height}px)` }}
        >
          {render(item)}
        </div>
      ))}
    </div>
  );
}
