import { useState } from 'react';
import { Button } from '../ui/basics';
import { CodeBlock } from '../ui/code';

/** Secrets on their way from the answer that carried them to the page that shows them once. In memory alone. */
const waiting = new Map<string, string>();

export function keepSecret(webhookId: string, secret: string): void {
  waiting.set(webhookId, secret);
}

export function useSecret(webhookId: string): { secret: string | null; show(secret: string): void; forget(): void } {
  const [secret, setSecret] = useState(() => waiting.get(webhookId) ?? null);
  return {
    secret,
    show: (shown) => {
      keepSecret(webhookId, shown);
      setSecret(shown);
    },
    forget: () => {
      waiting.delete(webhookId);
      setSecret(null);
    },
  };
}

export function SecretOnce({ secret, onDone }: { secret: string; onDone(): void }) {
  return (
    <section className="panel secret-once" aria-label="Secret">
      <h2>Keep the secret now</h2>
      <p>Your server checks signatures with it. It is shown here this once and cannot be looked up later, only replaced.</p>
      <CodeBlock text={secret} what="Secret" wrap />
      <Button kind="primary" onClick={onDone}>
        I have stored it
      </Button>
    </section>
  );
}
