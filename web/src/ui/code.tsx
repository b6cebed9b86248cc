import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from 'react';
import { Button } from './basics';
import { say } from './toast';

/** For plain http, where browsers offer no clipboard API. Restores the focus afterwards. */
function copySelected(text: string): boolean {
  const before = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}

export async function copy(text: string, what: string): Promise<void> {
  const done = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (done || copySelected(text)) say(`${what} copied`);
  else say('The browser did not let it be copied: select the text and copy it by hand', true);
}

export function CopyButton({ text, what, label = 'Copy' }: { text: string; what: string; label?: string }) {
  return (
    <Button kind="quiet" icon="copy" onClick={() => void copy(text, what)} aria-label={label === 'Copy' ? `Copy ${what.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())}` : undefined}>
      {label}
    </Button>
  );
}

const TOKEN = /("(?:\\.|[^"\\])*"(?=\s*:))|("(?:\\.|[^"\\])*")|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;
const LARGEST_COLOURED = 40_000;

function coloured(json: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const found of json.matchAll(TOKEN)) {
    const kind = found[1] ? 'key' : found[2] ? 'string' : found[3] ? 'word' : 'number';
    parts.push(json.slice(end, found.index));
    parts.push(
      <span key={found.index} className={`json-${kind}`}>
        {found[0]}
      </span>,
    );
    end = found.index + found[0].length;
  }
  parts.push(json.slice(end));
  return parts;
}

const PIECES = /"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const DEEPEST_INDENT = 20;

/** Indents JSON without parsing it: JSON.parse would round long numbers and drop duplicate keys. */
function indented(json: string): string {
  const pieces = json.match(PIECES) ?? [];
  let depth = 0;
  const line = (): string => `\n${'  '.repeat(Math.min(depth, DEEPEST_INDENT))}`;
  const placed = pieces.map((piece, index) => {
    switch (piece) {
      case '{':
      case '[':
        if (/[}\]]/.test(pieces[index + 1]?.[0] ?? '')) return piece;
        depth++;
        return piece + line();
      case '}':
      case ']':
        if (/^[{[]$/.test(pieces[index - 1] ?? '')) return piece;
        depth--;
        return line() + piece;
      case ',':
        return piece + line();
      case ':':
        return ': ';
      default:
        return piece;
    }
  });
  return placed.join('');
}

/** Text with a button to copy it. JSON is shown indented, but copied unchanged. Scrolls by keyboard. */
export function CodeBlock({ text, what, json = false, wrap = false }: { text: string; what: string; json?: boolean; wrap?: boolean }) {
  const shown = json ? indented(text) : text;
  return (
    <div className="code-block">
      <div className="code-copy">
        <CopyButton text={text} what={what} />
      </div>
      <pre tabIndex={0} role="group" aria-label={what} className={wrap ? 'wrap' : undefined}>
        <code>{shown.length <= LARGEST_COLOURED && json ? coloured(shown) : shown}</code>
      </pre>
    </div>
  );
}

export interface Tab {
  key: string;
  label: string;
  body: () => ReactNode;
}

/** Tabs that follow the ARIA pattern: arrows, Home and End move between them, Tab goes into the panel. */
export function Tabs({ tabs, label }: { tabs: readonly Tab[]; label: string }) {
  const [current, setCurrent] = useState(tabs[0]?.key);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const active = tabs.find((tab) => tab.key === current) ?? tabs[0];
  const onKey = (event: KeyboardEvent): void => {
    if (active === undefined) return;
    const here = tabs.indexOf(active);
    const aims: Record<string, number> = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 };
    const aim = aims[event.key];
    if (aim === undefined) return;
    event.preventDefault();
    const next = (aim + tabs.length) % tabs.length;
    setCurrent(tabs[next]?.key);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[next]?.focus();
  };
  return (
    <div className="tabs">
      <div role="tablist" aria-label={label} ref={list} onKeyDown={onKey}>
        {tabs.map((tab) => (
          <button
            key={tab.key}
            type="button"
            role="tab"
            id={`${id}-${tab.key}`}
            aria-selected={tab === active}
            aria-controls={`${id}-panel`}
            tabIndex={tab === active ? 0 : -1}
            onClick={() => setCurrent(tab.key)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${active?.key}`}>
        {active?.body()}
      </div>
    </div>
  );
}
