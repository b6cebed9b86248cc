import { useEffect, useRef, useState } from 'react';
import { secrets } from '../session';
import { Button } from '../ui/basics';
import { CodeBlock } from '../ui/code';

export function useSecret(webhookId: string): { secret: string | null; show(secret: string): void; forget(): void } {
  const kept = secrets;
  const [secret, setSecret] = useState(() => kept.get(webhookId) ?? null);
  return {
    secret,
    show: (shown) => {
      kept.set(webhookId, shown);
      setSecret(shown);
    },
    forget: () => {
      kept.delete(webhookId);
      setSecret(null);
    },
  };
}

/** Takes the focus, which scrolls it into view: the button that asked for it may be far below. */
export function SecretOnce({ secret, onDone }: { secret: string; onDone(): void }) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => place.current?.focus(), [secret]);
  return (
    <section ref={place} tabIndex={-1} className="panel secret-once" aria-label="Secret">
      <h2>Keep the secret now</h2>
      <p>Your server checks signatures with it. It is shown here this once and cannot be looked up later, only replaced.</p>
      <CodeBlock text={secret} what="Secret" wrap />
      <Button kind="primary" onClick={onDone}>
        I have stored it
      </Button>
    </section>
  );
}
