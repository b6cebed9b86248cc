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

/** Stays focusable while it is busy, so that the keyboard's place is not lost. */
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

/** What a person must know before going on looks different from what happens by itself. */
const NOTICE_ICONS: Record<Tone, IconName> = { ...TONE_ICONS, warn: 'alert', bad: 'alert' };

/** A state in words and shape, never in colour alone. */
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

/** A moment as the time of day, with the day once that is another one. */
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
  /** What the browser's tab says, where the heading alone would not tell one such page from another. */
  tab?: string;
  back?: { href: string; label: string };
  badge?: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
}

/** The heading of a page. It takes the focus after a navigation, so that a screen reader says where one has arrived. */
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
  // With the button and the keys that were used: it may be wanted in another tab.
  event.currentTarget.querySelector('.row-link')?.dispatchEvent(new window.MouseEvent('click', event.nativeEvent));
}

/** A row is the target of its one link. What says more on hover lies above that link, so a click on it is handed on. */
export const rowOfLink = { onClick: followRow, onAuxClick: followRow };

interface NoticeProps {
  tone: Tone;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** Read out at once: for what has just happened. */
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

/** The way to the next page of a list that has one. */
export function ShowMore({ list }: { list: Pick<Paged<unknown>, 'hasMore' | 'busy' | 'more'> }) {
  if (!list.hasMore) return null;
  return (
    <Button busy={list.busy} onClick={list.more}>
      Show more
    </Button>
  );
}
