import { type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import type { Row } from './log';

/** From one movement of a hand that aims to the next, and to the click. */
const STILL_MS = 1_500;

/**
 * Rows that keep still while a pointer moves among them, so that a click meets the row that was aimed at. Each shows how
 * it is now; what is new waits, and what fits no more stays, until the pointer rests.
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
    // What lies behind the last one comes page by page and pushes nothing.
    return [...kept.map((row) => now.get(row.id) ?? row), ...(end < 0 ? [] : rows.slice(end + 1))];
  }, [rows, kept]);
  const onPointerMove = ({ movementX, movementY, pointerType }: PointerEvent): void => {
    // A browser also tells of a pointer that rests where something has come to lie under it.
    if (pointerType !== 'mouse' || (movementX === 0 && movementY === 0)) return;
    if (kept === null) keep(rows);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => keep(null), STILL_MS);
  };
  return { still, onPointerMove };
}
