import { useEffect, useState } from 'react';

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'long' });
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

const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export function full(time: string): string {
  return instant.format(new Date(time));
}

/** The time of day, with the day where that is another one than today, and with the year where that is another. */
export function moment(time: string): string {
  const [at, now] = [new Date(time), new Date()];
  if (at.toDateString() === now.toDateString()) return clock.format(at);
  const day = at.getFullYear() === now.getFullYear() ? shortDay : longDay;
  return `${day.format(at)}, ${clock.format(at)}`;
}

/** The label of a bucket of a chart that spans `spanMs`. */
export function bucketLabel(at: number, spanMs: number): string {
  if (spanMs > 2 * DAY) return shortDay.format(at);
  return hour.format(at);
}

export function ago(time: string, now: number): string {
  const distance = Date.parse(time) - now;
  const size = Math.abs(distance);
  if (size < 5 * SECOND) return distance > 0 ? 'in a moment' : 'just now';
  if (size < MINUTE) return relative.format(Math.round(distance / SECOND), 'second');
  if (size < HOUR) return relative.format(Math.round(distance / MINUTE), 'minute');
  if (size < DAY) return relative.format(Math.round(distance / HOUR), 'hour');
  return relative.format(Math.round(distance / DAY), 'day');
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 2 * HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} days`;
}

/** The present, renewed every `everyMs`, so that "2 minutes ago" does not go stale. */
export function useNow(everyMs: number = 10 * SECOND): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return Math.max(now, 0);
}

/** From a datetime-local field, which is in the person's zone, to an instant; null where it is empty or broken. */
export function fromLocal(value: string): string | null {
  const time = new Date(value);
  return value === '' || Number.isNaN(time.getTime()) ? null : time.toISOString();
}

export function toLocal(time: string): string {
  const date = new Date(time);
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * MINUTE);
  return shifted.toISOString().slice(0, 16);
}
