import { useState } from 'react';
import { useClient, useQuery } from 'urql';
import { run } from '../api';
import { DeliveryDocument, type EventType, type WebhookCoreFragment, DeliveryChangesDocument, WebhookTestDocument } from '../generated/graphql';
import { useFeed } from '../live';
import { Link, paths } from '../router';
import { duration } from '../time';
import { Badge, Button, Notice } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { SelectField } from '../ui/form';
import { EVENT_TYPES, EVENTS, isFinished, OUTCOMES, STATUSES } from '../words';

const OPTIONS = EVENT_TYPES.map((type) => [type, EVENTS[type]] as const);

/** Follows one delivery and says how it went. */
function Arrival({ deliveryId }: { deliveryId: string }) {
  const [{ data }, reload] = useQuery({ query: DeliveryDocument, variables: { id: deliveryId } });
  const renew = (): void => reload({ requestPolicy: 'network-only' });
  useFeed(DeliveryChangesDocument, { deliveryId, webhookId: null, eventTypes: null }, (change) => change.deliveryStatusChanged, {
    onChange: renew,
    onGap: renew,
  });
  const delivery = data?.delivery;
  if (!delivery) return null;
  const { label, tone } = STATUSES[delivery.status];
  const attempt = delivery.attempts.at(-1);
  return (
    <div className="arrival" role="status">
      <Badge tone={tone}>{label}</Badge>
      {attempt && (
        <span>
          {attempt.responseStatus ? `Answered ${attempt.responseStatus}` : OUTCOMES[attempt.outcome].label} after {duration(attempt.durationMs)}
          {attempt.error && `: ${attempt.error}`}
        </span>
      )}
      {!attempt && !isFinished(delivery.status) && <span>On its way…</span>}
      <Link href={paths.delivery(delivery.id)}>Open the delivery</Link>
    </div>
  );
}

export function TestDialog({ webhook, onClose }: { webhook: WebhookCoreFragment; onClose(): void }) {
  const client = useClient();
  const [eventType, setEventType] = useState<EventType>(webhook.events[0] ?? 'POST_PUBLISHED');
  const [sent, setSent] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async (): Promise<void> => {
    setBusy(true);
    const result = await run(client, 'mutation', WebhookTestDocument, { id: webhook.id, eventType });
    setBusy(false);
    setProblem(result.problem ?? result.data?.webhookTest.errors[0]?.message ?? null);
    setSent(result.data?.webhookTest.delivery?.id ?? null);
  };
  return (
    <Dialog title="Send a test event" onClose={onClose}>
      <p className="dialog-text">
        Sends the example of an event{webhook.hasSecret && ', signed like a real one'}, whether or not the webhook listens to it, to
        <code className="callback" title={webhook.callbackUrl}>
          {webhook.callbackUrl}
        </code>
      </p>
      <SelectField label="Event" value={eventType} options={OPTIONS} onChange={setEventType} />
      {problem && <Notice tone="bad" urgent title={problem} />}
      {sent && <Arrival key={sent} deliveryId={sent} />}
      <div className="dialog-actions">
        <Button onClick={onClose}>Close</Button>
        <Button kind="primary" icon="send" busy={busy} onClick={() => void send()}>
          {sent ? 'Send another' : 'Send'}
        </Button>
      </div>
    </Dialog>
  );
}
