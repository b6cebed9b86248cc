import { useState } from 'react';
import { useClient, useQuery } from 'urql';
import { run, sentence, useLast, useMay } from '../api';
import { asCurl, bodyOf, isKnown, signatureOf } from '../deliveries/curl';
import { Verification } from '../deliveries/verify-panel';
import { Timeline } from '../deliveries/timeline';
import { DeliveryCancelDocument, DeliveryChangesDocument, DeliveryDocument, type DeliveryQuery, DeliveryRetryDocument } from '../generated/graphql';
import { useFeed } from '../live';
import { fromHere, Link, paths } from '../router';
import { ahead, full, MINUTE, useEvery, useNow } from '../time';
import { Ago, Badge, Button, Empty, Loading, Notice, PageHead, Panel, Problem } from '../ui/basics';
import { CodeBlock, copy, CopyButton, Tabs } from '../ui/code';
import { LiveBadge } from '../ui/live-badge';
import { say } from '../ui/toast';
import { EVENTS, isFinished, STATUSES, WAITS } from '../words';

type Delivery = NonNullable<DeliveryQuery['delivery']>;

function useVerbs(delivery: Delivery, renew: () => void) {
  const client = useClient();
  const [busy, setBusy] = useState<'again' | 'cancel' | null>(null);
  const again = async (): Promise<void> => {
    const go = fromHere();
    setBusy('again');
    const { data, problem } = await run(client, 'mutation', DeliveryRetryDocument, { id: delivery.id });
    setBusy(null);
    const fault = problem ?? data?.deliveryRetry.errors[0]?.message;
    if (fault) return say(fault, true);
    const id = data?.deliveryRetry.delivery?.id;
    if (id) go(paths.delivery(id));
    say('Sent again, as a new delivery of the same event');
  };
  const cancel = async (): Promise<void> => {
    setBusy('cancel');
    const { data, problem } = await run(client, 'mutation', DeliveryCancelDocument, { id: delivery.id });
    setBusy(null);
    const fault = problem ?? data?.deliveryCancel.errors[0]?.message;
    if (fault) say(fault, true);
    renew();
  };
  return { busy, again, cancel };
}

function Actions({ delivery, renew }: { delivery: Delivery; renew(): void }) {
  const { busy, again, cancel } = useVerbs(delivery, renew);
  const { manageWebhooks } = useMay();
  const attempt = delivery.attempts.findLast(isKnown);
  return (
    <>
      {attempt && (
        <Button icon="copy" onClick={() => void copy(asCurl(attempt, delivery), 'Command')}>
          Copy as curl
        </Button>
      )}
      {manageWebhooks && !isFinished(delivery.status) && delivery.status !== 'DELIVERING' && (
        <Button kind="danger" icon="cross" busy={busy === 'cancel'} onClick={() => void cancel()}>
          Cancel
        </Button>
      )}
      {manageWebhooks && isFinished(delivery.status) && delivery.webhook && (
        <Button kind="primary" icon="replay" busy={busy === 'again'} onClick={() => void again()}>
          Send again
        </Button>
      )}
    </>
  );
}

/** Why the delivery is not being sent right now, until when, and what to do. */
function Waiting({ delivery, renew }: { delivery: Delivery; renew(): void }) {
  const now = useNow(1_000);
  // No stream reports that its webhook was switched off, or that the endpoint's circuit opened or closed.
  useEvery(delivery.waitingFor === null ? null : MINUTE, renew);
  if (delivery.waitingFor === null || isFinished(delivery.status)) return null;
  const { label, advice } = WAITS[delivery.waitingFor];
  const next = delivery.nextAttemptAt;
  return (
    <Notice tone={delivery.waitingFor === 'QUEUED' ? 'idle' : 'warn'} title={label}>
      {advice}
      {next && delivery.waitingFor !== 'QUEUED' && delivery.waitingFor !== 'WEBHOOK_INACTIVE' && (
        <>
          {' '}
          Next attempt <time dateTime={next} title={full(next)}>{ahead(next, now)}</time>.
        </>
      )}
    </Notice>
  );
}

function Facts({ delivery }: { delivery: Delivery }) {
  return (
    <dl className="facts">
      <div>
        <dt>Webhook</dt>
        <dd>{delivery.webhook ? <Link href={paths.webhook(delivery.webhook.id)} dir="auto">{delivery.webhook.name}</Link> : 'Deleted since'}</dd>
      </div>
      <div>
        <dt>Created</dt>
        <dd>
          <Ago time={delivery.createdAt} />
        </dd>
      </div>
      <div>
        <dt>Attempts</dt>
        <dd>
          {delivery.attemptCount} of {delivery.maxAttempts}
        </dd>
      </div>
      {delivery.retryOf && (
        <div>
          <dt>Sends again</dt>
          <dd>
            <Link href={paths.delivery(delivery.retryOf.id)}>an earlier delivery</Link>
          </dd>
        </div>
      )}
      <div className="wide">
        <dt>Delivery</dt>
        <dd className="with-copy">
          <code>{delivery.uuid}</code>
          <CopyButton text={delivery.uuid} what="Delivery id" />
        </dd>
      </div>
      <div className="wide">
        <dt>Event</dt>
        <dd className="with-copy">
          <code>{delivery.event.uuid}</code>
          <CopyButton text={delivery.event.uuid} what="Event id" />
        </dd>
      </div>
    </dl>
  );
}

function Body({ delivery }: { delivery: Delivery }) {
  const last = delivery.attempts.findLast(isKnown);
  return (
    <Panel title="Body">
      <Tabs
        label="Body"
        tabs={[
          { key: 'pretty', label: 'Readable', body: () => <CodeBlock text={JSON.stringify(delivery.event.payload, null, 2)} what="Body" json /> },
          { key: 'raw', label: 'As sent', body: () => <CodeBlock text={bodyOf(last, delivery)} what="Body as sent" wrap /> },
        ]}
      />
    </Panel>
  );
}

function Detail({ delivery, renew, badge }: { delivery: Delivery; renew(): void; badge: React.ReactNode }) {
  const { label, tone } = STATUSES[delivery.status];
  const signed = delivery.attempts.findLast((attempt) => signatureOf(attempt) !== null);
  const signature = signatureOf(signed);
  const back = delivery.webhook
    ? { href: paths.webhook(delivery.webhook.id), label: delivery.webhook.name }
    : { href: paths.deliveries, label: 'Deliveries' };
  return (
    <>
      <PageHead
        title={EVENTS[delivery.event.type]}
        tab={`${EVENTS[delivery.event.type]} to ${delivery.webhook?.name ?? 'a deleted webhook'}`}
        back={back}
        badge={
          <>
            <Badge tone={tone}>{label}</Badge>
            {badge}
          </>
        }
        actions={<Actions delivery={delivery} renew={renew} />}
      />
      <Waiting delivery={delivery} renew={renew} />
      <div className="delivery-columns">
        <div>
          <Panel title="What happened">
            <Timeline delivery={delivery} />
          </Panel>
        </div>
        <div>
          <Panel title="This delivery">
            <Facts delivery={delivery} />
          </Panel>
          <Body delivery={delivery} />
          {signed && signature && <Verification example={{ body: bodyOf(signed, delivery), signature }} />}
        </div>
      </div>
    </>
  );
}

export function DeliveryPage({ id }: { id: string }) {
  const [{ data: read, error }, reload] = useQuery({ query: DeliveryDocument, variables: { id } });
  const data = useLast(read, id);
  const renew = (): void => reload({ requestPolicy: 'network-only' });
  const live = useFeed(DeliveryChangesDocument, { deliveryId: id, webhookId: null, eventTypes: null }, (change) => change.deliveryStatusChanged, {
    onChange: renew,
    onGap: renew,
  });
  if (data?.delivery) {
    return (
      <>
        {error && <Problem message={sentence(error)} retry={renew} />}
        <Detail delivery={data.delivery} renew={renew} badge={!isFinished(data.delivery.status) && <LiveBadge state={live} />} />
      </>
    );
  }
  return (
    <>
      <PageHead title="Delivery" back={{ href: paths.deliveries, label: 'Deliveries' }} />
      {error && <Problem message={sentence(error)} retry={renew} />}
      {!data && !error && <Loading />}
      {data && <Empty title="There is no such delivery">It may be older than what is kept.</Empty>}
    </>
  );
}
