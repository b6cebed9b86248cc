import { useEffect, useEffectEvent, useReducer, useRef, useState } from 'react';

const relative = new Intl.RelativeTimeFormat('en');
const instant = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const shortDay = new Intl.DateTimeFormat('en-GB', { month: 'short', day: '2-digit' });
const longDay = new Intl.DateTimeFormat('en-GB', { year: 'numeric', month: 'short', day: '2-digit' });
const hour = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayAndHour = new Intl.DateTimeFormat('en-GB', { month: 'short', day: '2-digit', hour: '2-digit', minute: '2-digit' });

const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const RENEW_MS = 4 * SECOND;

export function full(time: string): string {
  return instant.format(new Date(time));
}

/** The time of day, with the day if it is not today, and the year if it is not this year. */
export function moment(time: string, now: number): string {
  const [at, today] = [new Date(time), new Date(now)];
  if (at.toDateString() === today.toDateString()) return clock.format(at);
  const day = at.getFullYear() === today.getFullYear() ? shortDay : longDay;
  return `${day.format(at)}, ${clock.format(at)}`;
}

/** The label of a chart's bucket that is `bucketMs` long. No two buckets of a chart have the same label. */
export function bucketLabel(at: number, bucketMs: number): string {
  if (bucketMs <= HOUR) return hour.format(at);
  return bucketMs < DAY ? dayAndHour.format(at) : shortDay.format(at);
}

export function ago(time: string, now: number): string {
  const distance = Date.parse(time) - now;
  const size = Math.abs(distance);
  if (size < 5 * SECOND) return distance > 0 ? 'in a moment' : 'just now';
  if (size < MINUTE) return relative.format(Math.round(distance / SECOND), 'second');
  if (size < HOUR) return relative.format(Math.round(distance / MINUTE), 'minute');
  // Hours up to two days: in days, 35 hours ago would read "1 day ago".
  if (size < 2 * DAY) return relative.format(Math.round(distance / HOUR), 'hour');
  return relative.format(Math.round(distance / DAY), 'day');
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 2 * HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} days`;
}

/** Calls `act` every `everyMs`, or never if that is null. */
export function useEvery(everyMs: number | null, act: () => void): void {
  const again = useEffectEvent(act);
  useEffect(() => {
    if (everyMs === null) return;
    const timer = setInterval(() => again(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

/** The current time, renewed every `everyMs`, so that "2 minutes ago" does not go stale. */
export function useNow(everyMs: number = 10 * SECOND): number {
  const [now, setNow] = useState(() => Date.now());
  useEvery(everyMs, () => setNow(Date.now()));
  return now;
}

/**
 * Grows after `changes` grew, but no more often than figures may be read again. If nothing changes it grows once a
 * minute, because figures that are counted up to now also change as time passes.
 */
export function useTurn(changes: number): number {
  const [turn, next] = useReducer((before: number) => before + 1, 0);
  const taken = useRef(changes);
  const latest = useRef(changes);
  latest.current = changes;
  const isStale = taken.current !== changes;
  useEffect(() => {
    const take = (): void => {
      taken.current = latest.current;
      next();
    };
    const timer = setTimeout(take, isStale ? RENEW_MS : MINUTE);
    return () => clearTimeout(timer);
  }, [isStale, turn]);
  return turn;
}

/** When something planned will happen. Its time may have passed already. */
export function ahead(time: string, now: number): string {
  return Date.parse(time) <= now ? 'any moment now' : ago(time, now);
}

/** The maximum of a datetime-local field. Without one the year takes six digits, and swallows what is typed next. */
export const LATEST = '9999-12-31T23:59';

/** Converts the value of a datetime-local field, in the person's time zone, to an instant; null if empty or invalid. */
export function fromLocal(value: string): string | null {
  const time = new Date(value);
  return value === '' || Number.isNaN(time.getTime()) ? null : time.toISOString();
}

export function toLocal(time: string): string {
  const date = new Date(time);
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * MINUTE);
  return shifted.toISOString().slice(0, 16);
}
