import { type ButtonHTMLAttributes, type MouseEvent, type ReactNode, useEffect, useRef } from 'react';
import type { Paged } from '../paged';
import { hasNavigated, Link } from '../router';
import { ago, full, moment, useNow } from '../time';
import type { Tone } from '../words';
import { Icon, type IconName } from './icons';

type ButtonKind = 'primary' | 'plain' | 'danger' | 'quiet';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: ButtonKind;
  icon?: IconName;
  busy?: boolean;
}

/** Stays focusable while busy, so that the keyboard focus is not lost. */
export function Button({ kind = 'plain', icon, busy = false, children, className = '', type = 'button', onClick, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={`button button-${kind} ${className}`}
      aria-disabled={busy || undefined}
      onClick={(event) => (busy ? event.preventDefault() : onClick?.(event))}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

export function ButtonLink({ href, kind = 'plain', icon, children }: { href: string; kind?: ButtonKind; icon?: IconName; children: ReactNode }) {
  return (
    <Link href={href} className={`button button-${kind}`}>
      {icon && <Icon name={icon} />}
      {children}
    </Link>
  );
}

const TONE_ICONS: Record<Tone, IconName> = {
  good: 'check',
  bad: 'cross',
  warn: 'retry',
  busy: 'dots',
  idle: 'clock',
  off: 'minus',
};

/** Notices that a person must act on have another icon than states that pass by themselves. */
const NOTICE_ICONS: Record<Tone, IconName> = { ...TONE_ICONS, warn: 'alert', bad: 'alert' };

/** A state shown in words and shape, never in colour alone. */
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`badge tone-${tone}`}>
      <Icon name={TONE_ICONS[tone]} />
      {children}
    </span>
  );
}

export function Chip({ children }: { children: ReactNode }) {
  return (
    <span className="chip" dir="auto">
      {children}
    </span>
  );
}

/** A moment as "2 minutes ago", with the exact time on hover and for machines. */
export function Ago({ time, className }: { time: string; className?: string }) {
  const now = useNow();
  return (
    <time dateTime={time} title={full(time)} className={className}>
      {ago(time, now)}
    </time>
  );
}

/** A moment as the time of day, with the day if it is not today. */
export function Moment({ time }: { time: string }) {
  const now = useNow();
  return (
    <time dateTime={time} title={full(time)}>
      {moment(time, now)}
    </time>
  );
}

interface PageHeadProps {
  title: string;
  /** The title of the browser's tab, if the heading alone would not tell such pages apart. */
  tab?: string;
  back?: { href: string; label: string };
  badge?: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
}

/** The heading of a page. It takes the focus after a navigation, so that a screen reader announces the new page. */
export function PageHead({ title, tab = title, back, badge, lead, actions }: PageHeadProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${tab} · Hookline`;
  }, [tab]);
  useEffect(() => {
    if (hasNavigated) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <header className="page-head">
      {back && (
        <Link href={back.href} className="back">
          <Icon name="back" />
          <span dir="auto">{back.label}</span>
        </Link>
      )}
      <div className="page-head-row">
        <div className="page-title">
          <h1 ref={heading} tabIndex={-1} dir="auto">
            {title}
          </h1>
          {badge}
        </div>
        {actions && <div className="actions">{actions}</div>}
      </div>
      {lead && <div className="lead">{lead}</div>}
    </header>
  );
}

export function Panel({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel" aria-label={title}>
      <div className="panel-head">
        <h2>{title}</h2>
      </div>
      {children}
    </section>
  );
}

function followRow(event: MouseEvent<HTMLElement>): void {
  if (event.target instanceof Element && event.target.closest('a, button')) return;
  // Keeps the mouse button and modifier keys, which may ask for a new tab.
  event.currentTarget.querySelector('.row-link')?.dispatchEvent(new window.MouseEvent('click', event.nativeEvent));
}

/** The whole row is the target of its one link. Elements with a tooltip lie above the link and forward clicks. */
export const rowOfLink = { onClick: followRow, onAuxClick: followRow };

interface NoticeProps {
  tone: Tone;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** Screen readers announce it at once: for something that has just happened. */
  urgent?: boolean;
}

export function Notice({ tone, title, children, actions, urgent = false }: NoticeProps) {
  return (
    <div className={`notice tone-${tone}`} role={urgent ? 'alert' : undefined}>
      <Icon name={NOTICE_ICONS[tone]} />
      <div className="notice-text">
        <strong>{title}</strong>
        {children && <div>{children}</div>}
      </div>
      {actions && <div className="actions">{actions}</div>}
    </div>
  );
}

export function Problem({ message, retry }: { message: string; retry?: () => void }) {
  return <Notice tone="bad" urgent title={message} actions={retry && <Button onClick={retry}>Try again</Button>} />;
}

interface EmptyProps {
  title: string;
  icon?: IconName;
  children?: ReactNode;
  /** What to do next. */
  action?: ReactNode;
}

export function Empty({ title, icon = 'hook', children, action }: EmptyProps) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <strong>{title}</strong>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Loading({ what = 'Loading' }: { what?: string }) {
  return (
    <div className="loading" role="status">
      <span className="spinner" aria-hidden="true" />
      <span>{what}…</span>
    </div>
  );
}

/** The button for the next page of a list, if there is one. */
export function ShowMore({ list }: { list: Pick<Paged<unknown>, 'hasMore' | 'busy' | 'more'> }) {
  if (!list.hasMore) return null;
  return (
    <Button busy={list.busy} onClick={list.more}>
      Show more
    </Button>
  );
}
