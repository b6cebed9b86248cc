import { type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import type { Row } from './log';

/** The longest pause between two movements of an aiming hand, or between the last one and the click. */
const STILL_MS = 1_500;

/**
 * Keeps rows in place while the pointer moves over them, so that a click hits the row that was aimed at. Each row still
 * shows its current state. Until the pointer rests, new rows wait, and rows that no longer match stay.
 */
export function useStill(rows: readonly Row[]): { still: readonly Row[]; onPointerMove(event: PointerEvent): void } {
  const [kept, keep] = useState<readonly Row[] | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const still = useMemo(() => {
    if (kept === null) return rows;
    const now = new Map(rows.map((row) => [row.id, row]));
    const last = kept.at(-1);
    const end = last ? rows.findIndex((row) => row.id === last.id) : -1;
    // Rows after the last kept one come page by page and move nothing.
    return [...kept.map((row) => now.get(row.id) ?? row), ...(end < 0 ? [] : rows.slice(end + 1))];
  }, [rows, kept]);
  const onPointerMove = ({ movementX, movementY, pointerType }: PointerEvent): void => {
    // Browsers also report a movement if the content moves under a resting pointer.
    if (pointerType !== 'mouse' || (movementX === 0 && movementY === 0)) return;
    if (kept === null) keep(rows);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => keep(null), STILL_MS);
  };
  return { still, onPointerMove };
}
