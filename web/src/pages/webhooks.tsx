import { useEffect, useState } from 'react';
import { useMay } from '../api';
import { DeliveryChangesDocument, type WebhooksQuery, WebhooksDocument } from '../generated/graphql';
import { useFeed } from '../live';
import { usePaged } from '../paged';
import { Link, paths, useParameter } from '../router';
import { DAY, MINUTE, useEvery } from '../time';
import { Ago, Badge, Button, ButtonLink, Empty, Loading, Notice, PageHead, Problem, rowOfLink, ShowMore } from '../ui/basics';
import { LiveBadge } from '../ui/live-badge';
import { TextField } from '../ui/form';
import { EVENT_TYPES, eventNames, STATUSES } from '../words';

type Webhook = WebhooksQuery['webhooks']['nodes'][number];
type LastDelivery = Webhook['deliveries']['nodes'][number];

const SEARCH_AFTER_MS = 200;

export function WebhookState({ webhook }: { webhook: Pick<Webhook, 'active' | 'disabledReason'> }) {
  if (webhook.active) return <Badge tone="good">Active</Badge>;
  if (webhook.disabledReason) return <Badge tone="bad">Switched off</Badge>;
  return <Badge tone="off">Inactive</Badge>;
}

function Events({ webhook }: { webhook: Webhook }) {
  const names = eventNames(webhook.events).join(', ');
  return <span title={names}>{webhook.events.length === EVENT_TYPES.length ? 'All events' : names}</span>;
}

export function rate(value: number | null): string {
  if (value === null) return '–';
  const percent = value * 100;
  // 99.99 % must not round to 100 %, nor a few successes to 0 %.
  return `${percent === 100 || percent === 0 ? percent : Math.min(Math.max(percent, 0.1), 99.9).toFixed(1)} %`;
}

function Rate({ webhook }: { webhook: Webhook }) {
  const { successRate, succeeded, failed } = webhook.stats;
  if (successRate === null) return <span className="muted no-rate">–</span>;
  return (
    <span className="rate" title={`${succeeded} succeeded, ${failed} failed in the last 24 hours`}>
      {rate(successRate)}
      <meter min={0} max={1} low={0.9} high={0.99} optimum={1} value={successRate} aria-hidden="true" />
    </span>
  );
}

function Item({ webhook, last }: { webhook: Webhook; last: LastDelivery | undefined }) {
  return (
    <tr {...rowOfLink}>
      <td className="webhook-name">
        <Link href={paths.webhook(webhook.id)} className="row-link" dir="auto">
          {webhook.name}
        </Link>
        <span className="url">{webhook.callbackUrl}</span>
      </td>
      <td>
        <WebhookState webhook={webhook} />
      </td>
      <td className="webhook-events">
        <Events webhook={webhook} />
      </td>
      <td>
        <Rate webhook={webhook} />
      </td>
      <td className="last-delivery">
        {last ? (
          <>
            <Badge tone={STATUSES[last.status].tone}>{STATUSES[last.status].label}</Badge> <Ago time={last.createdAt} />
          </>
        ) : (
          <span className="muted">No delivery yet</span>
        )}
      </td>
    </tr>
  );
}

function useLastDeliveries(onGap: () => void) {
  const [last, setLast] = useState<ReadonlyMap<string, LastDelivery>>(new Map());
  const live = useFeed(DeliveryChangesDocument, { webhookId: null, deliveryId: null, eventTypes: null }, (data) => data.deliveryStatusChanged, {
    onChange: ({ delivery }) => {
      const id = delivery.webhook?.id;
      if (id === undefined) return;
      setLast((before) => {
        const known = before.get(id);
        if (known && known.id !== delivery.id && known.createdAt > delivery.createdAt) return before;
        return new Map(before).set(id, delivery);
      });
    },
    onGap: (lost) => {
      // The list is about to be read again, and is newer.
      if (lost) setLast(new Map());
      onGap();
    },
  });
  return { last, live };
}

function Table({ webhooks, last }: { webhooks: readonly Webhook[]; last: ReadonlyMap<string, LastDelivery> }) {
  return (
    <div className="panel panel-flush">
      <table className="webhook-table">
        <thead>
          <tr>
            <th scope="col">Webhook</th>
            <th scope="col">State</th>
            <th scope="col">Events</th>
            <th scope="col">Success, 24 h</th>
            <th scope="col">Last delivery</th>
          </tr>
        </thead>
        <tbody>
          {webhooks.map((webhook) => (
            <Item key={webhook.id} webhook={webhook} last={last.get(webhook.id) ?? webhook.deliveries.nodes[0]} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The search is in the address, as filters are. What is typed moves there once typing pauses. */
function useSearch() {
  const [parameter, setParameter] = useParameter('search');
  const search = parameter ?? '';
  const [typed, setTyped] = useState(search);
  useEffect(() => setTyped((before) => (before.trim() === search ? before : search)), [search]);
  useEffect(() => {
    const sought = typed.trim();
    if (sought === search) return;
    const timer = setTimeout(() => setParameter(sought || null), SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return { search, typed, setTyped };
}

/** For the first visit: webhooks exist, but nothing has been delivered yet. */
function FirstSteps() {
  const { manageWebhooks, publish } = useMay();
  return (
    <Notice tone="idle" title="Nothing was delivered yet">
      {manageWebhooks && 'Open a webhook and send it a test event. '}
      {publish && (
        <>
          <Link href={paths.newPost}>Publish a post</Link> and see who hears of it.
        </>
      )}
    </Notice>
  );
}

function lastDay(): { since: string } {
  return { since: new Date(Date.now() - DAY).toISOString() };
}

export function WebhooksPage() {
  const { search, typed, setTyped } = useSearch();
  const list = usePaged(WebhooksDocument, { filter: search ? { search } : null }, (data) => data.webhooks, lastDay);
  // No stream reports states and rates, and the rate of the last 24 hours changes as time passes.
  useEvery(MINUTE, list.reload);
  const { last, live } = useLastDeliveries(list.reload);
  const { manageWebhooks } = useMay();
  const webhooks = list.nodes ?? [];
  const isBetween = list.nodes !== null && !list.isOfFilter;
  const isEmpty = list.isOfFilter && webhooks.length === 0;
  // A search or the first pages say nothing about the other webhooks.
  const isWhole = list.isOfFilter && search === '' && !list.hasMore;
  const isNew = isWhole && webhooks.length > 0 && last.size === 0 && webhooks.every((webhook) => webhook.deliveries.nodes.length === 0);
  const create = manageWebhooks && (
    <ButtonLink href={paths.newWebhook} kind="primary" icon="plus">
      Create Webhook
    </ButtonLink>
  );
  return (
    <>
      <PageHead title="Webhooks" badge={<LiveBadge state={live} />} lead="Tell other systems what happens here, signed and in real time." actions={create} />
      {list.problem && <Problem message={list.problem} retry={list.reload} />}
      {(webhooks.length > 5 || typed || search || isBetween) && (
        <div className="search">
          <TextField label="Find by name or URL" type="search" value={typed} onChange={(event) => setTyped(event.target.value)} />
        </div>
      )}
      {webhooks.length === 0 && !list.isOfFilter && !list.problem && <Loading what="Reading the webhooks" />}
      {isNew && <FirstSteps />}
      {webhooks.length > 0 && <Table webhooks={webhooks} last={last} />}
      {isEmpty && search === '' && (
        <div className="panel">
          <Empty title="No webhooks yet" action={create || undefined}>
            A webhook sends a signed request to your server whenever an account or a post changes.
          </Empty>
        </div>
      )}
      {isEmpty && search !== '' && (
        <div className="panel">
          <Empty title="No webhook matches" action={<Button onClick={() => setTyped('')}>Show all webhooks</Button>}>
            Neither a name nor a callback URL has “<bdi>{search}</bdi>” in it.
          </Empty>
        </div>
      )}
      <ShowMore list={list} />
    </>
  );
}
