import { useEffect, useEffectEvent, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { type Client, useClient } from 'urql';
import { run } from '../api';
import {
  DeliveriesAgainDocument,
  type DeliveriesQuery,
  DeliveriesDocument,
  type DeliveryChangesSubscription,
  DeliveryChangesDocument,
  type DeliveryFilter,
  type DeliveryStatus,
  type EventType,
} from '../generated/graphql';
import { type LiveState, useFeed } from '../live';
import { MINUTE, useEvery } from '../time';

export type Row = DeliveriesQuery['deliveries']['nodes'][number];
export type Change = DeliveryChangesSubscription['deliveryStatusChanged'];

const PAGE = 100;

export interface LogState {
  rows: readonly Row[];
  /** The number of rows after the last read. Screen readers announce it; live changes come too fast to be announced. */
  read: number | null;
  /** null until the first page arrives. */
  hasMore: boolean | null;
  loading: boolean;
  problem: string | null;
}

/** One reading of a page: the first one, or the one after a cursor. */
interface Reading {
  after: string | null;
  /** Whether to forget everything known before. */
  anew: boolean;
}

const NOTHING: LogState = { rows: [], read: null, hasMore: null, loading: false, problem: null };

/** A list of deliveries, newest first. Pages are added at its end, new deliveries at its front. */
class DeliveryLog {
  private readonly byId = new Map<string, Row>();
  /** When a change last touched a row: an answer to an older question must not overwrite it. */
  private readonly touched = new Map<string, number>();
  private order: Row[] = [];
  private cursor: string | null = null;
  private failed: Reading | null = null;
  /** Counts how often the list began anew. Answers to earlier questions are dropped: they would leave a hole. */
  private beginnings = 0;
  private state: LogState = NOTHING;
  private frame = 0;
  private clock = 0;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly client: Client,
    private readonly filter: DeliveryFilter,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): LogState => this.state;

  /**
 * Reads the first page: at the start, and again if changes may have been missed. Use `anew` if changes are lost: the
 * rows behind that page may be stale, and there may be a hole before them.
 */
  async reread(anew = false): Promise<void> {
    await this.read({ after: null, anew });
  }

  /** Reads all waiting rows again: no stream reports that a webhook was switched off, or that an endpoint's circuit opened or closed. */
  async renew(): Promise<void> {
    const beginning = this.beginnings;
    const waiting = this.order.filter((row) => row.waitingFor !== null).map(({ id }) => id);
    for (let at = 0; at < waiting.length; at += PAGE) {
      const asked = this.clock;
      const { data } = await run(this.client, 'query', DeliveriesAgainDocument, { ids: waiting.slice(at, at + PAGE) });
      if (data === null || beginning !== this.beginnings) return;
      for (const row of data.nodes) {
        if (row?.__typename === 'Delivery' && this.byId.has(row.id) && (this.touched.get(row.id) ?? 0) <= asked) this.replace(row);
      }
      this.publish();
    }
  }

  async more(): Promise<void> {
    if (this.state.loading || this.state.hasMore !== true) return;
    if (this.failed?.anew) await this.retry();
    else await this.read({ after: this.cursor, anew: false });
  }

  /** Repeats the read that failed. */
  async retry(): Promise<void> {
    if (this.failed !== null) await this.read(this.failed);
  }

  /** Takes a change from the live stream. */
  take(change: Change): void {
    const row: Row = change.delivery;
    if (this.isBehind(row)) return;
    this.touched.set(row.id, (this.clock += 1));
    const known = this.byId.has(row.id);
    if (!this.fits(row)) {
      if (known) this.remove(row.id);
    } else if (known) this.replace(row);
    else this.insert(row);
    this.publish();
  }

  private async read(reading: Reading): Promise<void> {
    const { after, anew } = reading;
    if (anew) this.beginnings += 1;
    const [asked, beginning] = [this.clock, this.beginnings];
    this.become({ loading: true });
    const { data, problem } = await run(this.client, 'query', DeliveriesDocument, { first: PAGE, after, filter: this.filter });
    if (beginning !== this.beginnings) return;
    this.failed = data === null ? reading : null;
    if (data === null) return this.become({ loading: false, problem });
    if (anew) this.forget(asked);
    for (const row of data.deliveries.nodes) {
      if ((this.touched.get(row.id) ?? 0) > asked) continue;
      if (this.byId.has(row.id)) this.replace(row);
      else this.insert(row);
    }
    const { pageInfo } = data.deliveries;
    // Reading a page again, usually the first one, must not move the cursor back.
    if (after === this.cursor) {
      this.cursor = pageInfo.endCursor;
      this.state = { ...this.state, hasMore: pageInfo.hasNextPage };
    }
    this.become({ loading: false, problem: null, rows: [...this.order], read: this.order.length });
  }

  /** Forgets all rows that no live change has touched since `asked`. */
  private forget(asked: number): void {
    this.order = this.order.filter((row) => (this.touched.get(row.id) ?? 0) > asked);
    this.byId.clear();
    for (const row of this.order) this.byId.set(row.id, row);
    this.cursor = null;
  }

  /** Whether the row matches. The subscription filters by webhook and event type, and the list hides old rows. */
  private fits(row: Row): boolean {
    const { statuses, eventUuid } = this.filter;
    if (statuses && !statuses.includes(row.status)) return false;
    if (eventUuid && row.event.uuid !== eventUuid) return false;
    return true;
  }

  /** Older than every loaded row: it will come with its page. */
  private isBehind(row: Row): boolean {
    const last = this.order.at(-1);
    if (this.byId.has(row.id) || last === undefined || this.state.hasMore !== true) return false;
    return Date.parse(row.createdAt) < Date.parse(last.createdAt);
  }

  private insert(row: Row): void {
    const time = Date.parse(row.createdAt);
    this.byId.set(row.id, row);
    let [from, to] = [0, this.order.length];
    const last = this.order.at(-1);
    if (last && Date.parse(last.createdAt) >= time) from = to;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (Date.parse(this.order[middle]?.createdAt ?? '') > time) from = middle + 1;
      else to = middle;
    }
    this.order.splice(from, 0, row);
  }

  private replace(row: Row): void {
    const before = this.byId.get(row.id);
    this.byId.set(row.id, row);
    const index = before ? this.order.indexOf(before) : -1;
    if (index >= 0) this.order[index] = row;
  }

  private remove(id: string): void {
    this.byId.delete(id);
    this.order = this.order.filter((row) => row.id !== id);
  }

  /** Notifies at most once a frame, however fast changes come. */
  private publish(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.become({ rows: [...this.order] });
    });
  }

  private become(part: Partial<LogState>): void {
    this.state = { ...this.state, ...part };
    for (const listener of this.listeners) listener();
  }
}

export interface LogFilter {
  webhookId: string | null;
  eventType: EventType | null;
  status: DeliveryStatus | null;
  eventUuid: string | null;
  createdAfter: string | null;
}

export interface LiveLog extends LogState {
  live: LiveState;
  /** Counts changes, and gaps in which some were lost. When it grows, figures computed from the log are stale. */
  changes: number;
  more(): void;
  retry(): void;
}

function asInput({ webhookId, eventType, status, eventUuid, createdAfter }: LogFilter): DeliveryFilter {
  return {
    ...(webhookId && { webhookId }),
    ...(eventType && { eventTypes: [eventType] }),
    ...(status && { statuses: [status] }),
    ...(eventUuid && { eventUuid }),
    ...(createdAfter && { createdAfter }),
  };
}

/** The log that fits a filter, kept current by the live stream. What waits is read again when `active` changes. */
export function useDeliveryLog(filter: LogFilter, active: boolean | null): LiveLog {
  const client = useClient();
  const key = JSON.stringify(asInput(filter));
  const log = useMemo(() => new DeliveryLog(client, JSON.parse(key) as DeliveryFilter), [client, key]);
  const state = useSyncExternalStore(log.subscribe, log.snapshot);
  const [changes, setChanges] = useState(0);
  const counted = useRef(0);
  useEffect(() => void log.reread(), [log]);
  const live = useFeed(
    DeliveryChangesDocument,
    { webhookId: filter.webhookId, eventTypes: filter.eventType ? [filter.eventType] : null },
    (data) => data.deliveryStatusChanged,
    {
      onChange: (change) => {
        log.take(change);
        counted.current += 1;
      },
      onGap: (lost) => {
        void log.reread(lost);
        if (lost) counted.current += 1;
      },
    },
  );
  const isWaiting = live.phase === 'live' && state.rows.some((row) => row.waitingFor !== null);
  useEvery(isWaiting ? MINUTE : null, () => void log.renew());
  useEffect(() => void log.renew(), [log, active]);
  const count = useEffectEvent(() => setChanges(counted.current));
  useEffect(() => {
    const timer = setInterval(() => count(), 2_000);
    return () => clearInterval(timer);
  }, []);
  return { ...state, live, changes, more: () => void log.more(), retry: () => void log.retry() };
}
