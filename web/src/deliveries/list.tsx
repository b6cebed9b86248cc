import { type ReactNode, useEffect, useMemo, useState } from 'react';
import type { DeliveryStatus, EventType } from '../generated/graphql';
import { Link, paths, useParameter } from '../router';
import { DAY, duration, HOUR, MINUTE, useNow } from '../time';
import { Ago, Badge, Button, Empty, Loading, Problem } from '../ui/basics';
import { SelectField, TextField } from '../ui/form';
import { LiveBadge } from '../ui/live-badge';
import { VirtualRows } from '../ui/virtual-rows';
import { DELIVERY_STATUSES, EVENT_TYPES, EVENTS, STATUSES, WAITS } from '../words';
import { type LiveLog, type LogFilter, type Row, useDeliveryLog } from './log';
import { useStill } from './still';

const SPANS = [
  ['', 'Any time'],
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
] as const;

const SPAN_MS: Record<string, number> = { '15m': 15 * MINUTE, '1h': HOUR, '24h': DAY, '7d': 7 * DAY };
const STATUS_OPTIONS = [['', 'Any status'], ...DELIVERY_STATUSES.map((status) => [status, STATUSES[status].label] as const)] as const;
const EVENT_OPTIONS = [['', 'Any event'], ...EVENT_TYPES.map((type) => [type, EVENTS[type]] as const)] as const;

function isStatus(value: string | null): value is DeliveryStatus {
  return value !== null && Object.hasOwn(STATUSES, value);
}

function isEvent(value: string | null): value is EventType {
  return value !== null && Object.hasOwn(EVENTS, value);
}

/** The filters live in the address, so that a view can be reloaded and shared. */
function useFilter(webhookId: string | null) {
  const [status, setStatus] = useParameter('status');
  const [event, setEvent] = useParameter('event');
  const [span, setSpan] = useParameter('time');
  const [message, setMessage] = useParameter('message');
  const spanMs = SPAN_MS[span ?? ''] ?? Infinity;
  const createdAfter = useMemo(() => (spanMs === Infinity ? null : new Date(Date.now() - spanMs).toISOString()), [spanMs]);
  const filter: LogFilter = {
    webhookId,
    status: isStatus(status) ? status : null,
    eventType: isEvent(event) ? event : null,
    eventUuid: message?.toLowerCase() ?? null,
    createdAfter,
  };
  const clear = (): void => {
    for (const set of [setStatus, setEvent, setSpan, setMessage]) set(null);
  };
  return { filter, span: span ?? '', spanMs, setStatus, setEvent, setSpan, setMessage, clear };
}

function Filters({ filters }: { filters: ReturnType<typeof useFilter> }) {
  const { filter, span, setStatus, setEvent, setSpan, setMessage } = filters;
  return (
    <div className="filters" role="group" aria-label="Filter the deliveries">
      <SelectField label="Status" value={filter.status ?? ''} options={STATUS_OPTIONS} onChange={(value) => setStatus(value || null)} />
      <SelectField label="Event" value={filter.eventType ?? ''} options={EVENT_OPTIONS} onChange={(value) => setEvent(value || null)} />
      <SelectField label="Time" value={span} options={SPANS as readonly (readonly [string, string])[]} onChange={(value) => setSpan(value || null)} />
      <TextField
        type="search"
        label="Find by webhook-id"
        placeholder="Find by webhook-id"
        title="The header of a message that its receiver has"
        spellCheck={false}
        value={filter.eventUuid ?? ''}
        onChange={(event) => setMessage(event.target.value.trim() || null)}
      />
    </div>
  );
}

function took(row: Row): string {
  if (row.finishedAt) return duration(Date.parse(row.finishedAt) - Date.parse(row.createdAt));
  return '';
}

function Cells({ row, withWebhook }: { row: Row; withWebhook: boolean }) {
  const { label, tone } = STATUSES[row.status];
  const waits = row.waitingFor && row.waitingFor !== 'QUEUED' ? WAITS[row.waitingFor].label : null;
  return (
    <>
      <span role="cell" className="cell-event">
        <Link href={paths.delivery(row.id)} className="row-link">
          {EVENTS[row.event.type]}
        </Link>
        {withWebhook && <span className="cell-webhook" dir="auto">{row.webhook?.name ?? 'Deleted webhook'}</span>}
      </span>
      <span role="cell" className="cell-status">
        <Badge tone={tone}>{label}</Badge>
      </span>
      <span role="cell" className="cell-attempts">
        {row.attemptCount} of {row.maxAttempts}
        <span className="cell-unit"> {row.maxAttempts === 1 ? 'attempt' : 'attempts'}</span>
      </span>
      <span role="cell" className="cell-took">
        {waits ?? took(row)}
      </span>
      <span role="cell" className="cell-time">
        <Ago time={row.createdAt} />
      </span>
    </>
  );
}

function useMatch(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const onChange = (): void => setMatches(list.matches);
    list.addEventListener('change', onChange);
    return () => list.removeEventListener('change', onChange);
  }, [query]);
  return matches;
}

/** How high a row is, in rem. The style sheet has the same widths. */
function useRowHeight(withWebhook: boolean): number {
  const narrow = useMatch('(max-width: 62rem)');
  const stacked = useMatch('(max-width: 15rem)');
  if (stacked) return withWebhook ? 10.25 : 8.75;
  if (narrow) return withWebhook ? 5.5 : 4.25;
  return 2.75;
}

function Table({ log, rows, withWebhook }: { log: LiveLog; rows: readonly Row[]; withWebhook: boolean }) {
  const heightRem = useRowHeight(withWebhook);
  const { still, onPointerMove } = useStill(rows);
  return (
    <div role="table" aria-label="Deliveries" aria-rowcount={log.hasMore ? -1 : still.length + 1} className="delivery-table">
      <div role="rowgroup" className="table-head">
        <div role="row" aria-rowindex={1} className="row">
          <span role="columnheader">Event</span>
          <span role="columnheader">Status</span>
          <span role="columnheader">Attempts</span>
          <span role="columnheader">Took</span>
          <span role="columnheader" className="cell-time">
            Created
          </span>
        </div>
      </div>
      <div onPointerMove={onPointerMove}>
        <VirtualRows
          items={still}
          keyOf={(row) => row.id}
          heightRem={heightRem}
          render={(row) => <Cells row={row} withWebhook={withWebhook} />}
          onNearEnd={log.more}
        />
      </div>
    </div>
  );
}

/** The rows of the last `spanMs`. Rows drop out as they age. */
function useYounger(rows: readonly Row[], spanMs: number): readonly Row[] {
  const now = useNow();
  return useMemo(() => (spanMs === Infinity ? rows : rows.filter((row) => Date.parse(row.createdAt) >= now - spanMs)), [rows, spanMs, spanMs === Infinity ? 0 : now]);
}

interface DeliveryListProps {
  /** null: the deliveries of the whole workspace. */
  webhookId: string | null;
  /** Whether that webhook is active: what waits, waits for that too. */
  active: boolean | null;
  /** Called with the number of changes seen, so that figures can be read again. */
  onChanges?: (changes: number) => void;
  /** Shown if there are no deliveries: how to get the first one. */
  firstStep: ReactNode;
}

export function DeliveryList({ webhookId, active, onChanges, firstStep }: DeliveryListProps) {
  const filters = useFilter(webhookId);
  const log = useDeliveryLog(filters.filter, active);
  const rows = useYounger(log.rows, filters.spanMs);
  const { status, eventType, eventUuid } = filters.filter;
  const isFiltered = status !== null || eventType !== null || eventUuid !== null || filters.span !== '';
  useEffect(() => onChanges?.(log.changes), [log.changes]);
  return (
    <section className="panel panel-flush" aria-label="Deliveries">
      <div className="panel-head">
        {webhookId !== null && <h2>Deliveries</h2>}
        <LiveBadge state={log.live} />
        <Filters filters={filters} />
      </div>
      {log.problem && <Problem message={log.problem} retry={log.retry} />}
      {rows.length > 0 && <Table log={log} rows={rows} withWebhook={webhookId === null} />}
      {rows.length === 0 && (log.hasMore === false || log.rows.length > 0) && (
        <Empty title={isFiltered ? 'Nothing matches this filter' : 'No deliveries yet'} icon="deliveries" action={isFiltered ? <Button onClick={filters.clear}>Show all deliveries</Button> : firstStep}>
          {isFiltered ? 'New ones that match appear here as they happen.' : 'They appear here the moment something happens.'}
          {!isFiltered && firstStep && ' A test event is the quickest way to see one.'}
        </Empty>
      )}
      {log.hasMore === null && !log.problem && <Loading what="Reading the log" />}
      <p className="visually-hidden" role="status">
        {log.read !== null && (log.read > 0 ? `${log.read.toLocaleString('en')} loaded` : 'No deliveries')}
      </p>
      <p className="table-foot">
        {rows.length > 0 && (log.hasMore ? `${rows.length.toLocaleString('en')} loaded, more as you scroll` : `${rows.length.toLocaleString('en')} in all`)}
      </p>
    </section>
  );
}
