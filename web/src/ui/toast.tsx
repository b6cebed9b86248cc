import { type ReactNode, useSyncExternalStore } from 'react';

interface Message {
  key: number;
  text: ReactNode;
  bad: boolean;
}

const SHOWN_MS = 6_000;
let messages: readonly Message[] = [];
let count = 0;
const listeners = new Set<() => void>();

function become(next: readonly Message[]): void {
  messages = next;
  for (const listener of listeners) listener();
}

/** Shows a message for a few seconds. What a person must act on belongs on the page instead. */
export function say(text: ReactNode, bad = false): void {
  const message = { key: (count += 1), text, bad };
  become([...messages.slice(-2), message]);
  setTimeout(() => become(messages.filter((other) => other !== message)), SHOWN_MS);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => messages,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((message) => (
        <div key={message.key} className={`toast ${message.bad ? 'toast-bad' : ''}`}>
          {message.text}
        </div>
      ))}
    </div>
  );
}
