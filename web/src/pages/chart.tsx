import { useMemo, useRef, useState } from 'react';
import { useQuery } from 'urql';
import { type BucketFragment, type StatsFragment, type WebhookChartQuery, WebhookChartDocument, type WebhookChartQueryVariables } from '../generated/graphql';
import { bucketLabel, DAY, duration, HOUR } from '../time';
import { SelectField } from '../ui/form';
import { rate } from './webhooks';

const BUCKETS = 24;
const SPANS = [
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
] as const;
type Span = (typeof SPANS)[number][0];
const SPAN_MS: Record<Span, number> = { '1h': HOUR, '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY };

interface Bar extends BucketFragment {
  from: number;
}

function edges(span: Span): { times: number[]; variables: Omit<WebhookChartQueryVariables, 'id'> } {
  const end = Date.now();
  const width = SPAN_MS[span] / BUCKETS;
  const times = Array.from({ length: BUCKETS + 1 }, (_, index) => end - (BUCKETS - index) * width);
  const named = Object.fromEntries(times.map((time, index) => [`t${index}`, new Date(time).toISOString()]));
  return { times, variables: named as unknown as Omit<WebhookChartQueryVariables, 'id'> };
}

/** All bars are empty until the figures are read, or if there is no such webhook. */
function barsOf(webhook: WebhookChartQuery['webhook'] | undefined, times: readonly number[]): Bar[] {
  const named = (webhook ?? {}) as Record<string, BucketFragment | undefined>;
  return times.slice(0, BUCKETS).map((from, index) => ({
    from,
    ...(named[`b${index}`] ?? { deliveries: 0, succeeded: 0, failed: 0, pending: 0, p50Ms: null, p95Ms: null }),
  }));
}

const WIDTH = 480;
const TALL = 110;
const SHORT = 64;
const STEP = WIDTH / BUCKETS;

function label({ from }: Bar, span: Span): string {
  return bucketLabel(from, SPAN_MS[span] / BUCKETS);
}

function about(bar: Bar, span: Span): string {
  const parts = [`${bar.succeeded} succeeded`, `${bar.failed} failed`];
  if (bar.pending > 0) parts.push(`${bar.pending} pending`);
  if (bar.p50Ms !== null) parts.push(`median ${duration(bar.p50Ms)}`);
  return `${label(bar, span)}: ${parts.join(', ')}`;
}

function Bars({ bars, span }: { bars: readonly Bar[]; span: Span }) {
  const most = Math.max(1, ...bars.map((bar) => bar.deliveries));
  const scale = (count: number): number => (count === 0 ? 0 : Math.max(2, (count / most) * (TALL - 6)));
  return (
    <svg className="plot" viewBox={`0 0 ${WIDTH} ${TALL}`} preserveAspectRatio="none" aria-hidden="true">
      <line className="plot-base" x1="0" x2={WIDTH} y1={TALL - 0.5} y2={TALL - 0.5} />
      {bars.map((bar, index) => {
        const [good, bad, open] = [scale(bar.succeeded), scale(bar.failed), scale(bar.pending)];
        const x = index * STEP + 1.5;
        const width = STEP - 3;
        return (
          <g key={bar.from}>
            <rect className="plot-good" x={x} width={width} y={TALL - good} height={good} rx="1.5" />
            <rect className="plot-bad" x={x} width={width} y={TALL - good - bad} height={bad} rx="1.5" />
            <rect className="plot-open" x={x} width={width} y={TALL - good - bad - open} height={open} rx="1.5" />
            <rect className="plot-hover" x={index * STEP} width={STEP} y="0" height={TALL}>
              <title>{about(bar, span)}</title>
            </rect>
          </g>
        );
      })}
    </svg>
  );
}

/** One path for each unbroken run of buckets that have a figure. */
function line(values: readonly (number | null)[], most: number): string {
  let path = '';
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const [x, y] = [index * STEP + STEP / 2, SHORT - 4 - (value / most) * (SHORT - 10)];
    const hasLeft = (values[index - 1] ?? null) !== null;
    const hasRight = (values[index + 1] ?? null) !== null;
    if (hasLeft) path += `L${x},${y}`;
    else if (hasRight) path += `M${x},${y}`;
    // A point without neighbours becomes a dash as wide as its bucket, or it would be invisible.
    else path += `M${x - STEP / 2 + 2},${y}h${STEP - 4}`;
  }
  return path;
}

function Times({ bars }: { bars: readonly Bar[] }) {
  const most = Math.max(1, ...bars.map((bar) => bar.p95Ms ?? 0));
  return (
    <svg className="plot plot-short" viewBox={`0 0 ${WIDTH} ${SHORT}`} preserveAspectRatio="none" aria-hidden="true">
      <line className="plot-base" x1="0" x2={WIDTH} y1={SHORT - 0.5} y2={SHORT - 0.5} />
      <path className="plot-p95" d={line(bars.map((bar) => bar.p95Ms), most)} />
      <path className="plot-p50" d={line(bars.map((bar) => bar.p50Ms), most)} />
    </svg>
  );
}

function Axis({ bars, span }: { bars: readonly Bar[]; span: Span }) {
  const marks = [0, BUCKETS / 2].map((index) => bars[index]).filter((bar) => bar !== undefined);
  return (
    <div className="plot-axis" aria-hidden="true">
      {marks.map((bar) => (
        <span key={bar.from}>{label(bar, span)}</span>
      ))}
      <span>now</span>
    </div>
  );
}

function Summary({ stats }: { stats: StatsFragment | undefined }) {
  const count = (number: number | undefined): string => number?.toLocaleString('en') ?? '–';
  const time = (ms: number | null | undefined): string => (ms == null ? '–' : duration(ms));
  return (
    <dl className="figures">
      <div>
        <dt>Success rate</dt>
        <dd>{stats ? rate(stats.successRate) : '–'}</dd>
      </div>
      <div>
        <dt>Deliveries</dt>
        <dd>{count(stats?.deliveries)}</dd>
      </div>
      <div>
        <dt>Failed</dt>
        <dd>{count(stats?.failed)}</dd>
      </div>
      <div>
        <dt>Median</dt>
        <dd>{time(stats?.p50Ms)}</dd>
      </div>
      <div>
        <dt>95 % within</dt>
        <dd>{time(stats?.p95Ms)}</dd>
      </div>
    </dl>
  );
}

function AsTable({ bars, span }: { bars: readonly Bar[]; span: Span }) {
  return (
    <details className="as-table">
      <summary>The figures as a table</summary>
      <div className="scroll" tabIndex={0} role="region" aria-label="Figures over time">
        <table>
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">Succeeded</th>
              <th scope="col">Failed</th>
              <th scope="col">Pending</th>
              <th scope="col">Median</th>
              <th scope="col">95 % within</th>
            </tr>
          </thead>
          <tbody>
            {bars.map((bar) => (
              <tr key={bar.from}>
                <th scope="row">{label(bar, span)}</th>
                <td>{bar.succeeded}</td>
                <td>{bar.failed}</td>
                <td>{bar.pending}</td>
                <td>{bar.p50Ms === null ? '–' : duration(bar.p50Ms)}</td>
                <td>{bar.p95Ms === null ? '–' : duration(bar.p95Ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

interface ChartProps {
  webhookId: string;
  /** The figures are read again when it changes. */
  turn: number;
}

interface Shown {
  webhook: NonNullable<WebhookChartQuery['webhook']>;
  times: readonly number[];
  span: Span;
}

/**
 * Success and response times over time.
 *
 * It has its full height before the figures are read, so that nothing below it moves under the pointer.
 */
export function Chart({ webhookId, turn }: ChartProps) {
  const [span, setSpan] = useState<Span>('24h');
  const { times, variables } = useMemo(() => edges(span), [span, turn]);
  const [{ data, error, operation }] = useQuery({ query: WebhookChartDocument, variables: { id: webhookId, ...variables } });
  const kept = useRef<Shown | null>(null);
  // Until the answer arrives, urql returns that to an earlier question.
  if (data?.webhook && operation?.variables.t0 === variables.t0) kept.current = { webhook: data.webhook, times, span };
  const shown = kept.current;
  const shownSpan = shown?.span ?? span;
  const bars = barsOf(shown?.webhook, shown?.times ?? times);
  const slowest = bars.reduce<number | null>((most, { p95Ms }) => (p95Ms === null ? most : Math.max(most ?? 0, p95Ms)), null);
  const isRead = shown?.span === span;
  return (
    <section className="panel chart" aria-label="Success and response times" aria-busy={!isRead && !error}>
      <div className="panel-head">
        <h2>Over time</h2>
        <SelectField label="Time span" value={span} options={SPANS} onChange={setSpan} />
      </div>
      {error && !isRead ? (
        <p className="muted">The figures cannot be read at the moment.</p>
      ) : (
        <>
          <Summary stats={shown?.webhook.all} />
          <Bars bars={bars} span={shownSpan} />
          <p className="legend" aria-hidden="true">
            <span className="key-good">Succeeded</span>
            <span className="key-bad">Failed</span>
            <span className="key-open">Pending</span>
          </p>
          <Times bars={bars} />
          <p className="legend" aria-hidden="true">
            <span className="key-p50">Median time</span>
            <span className="key-p95">95 % within{slowest !== null && `, at most ${duration(slowest)}`}</span>
          </p>
          <Axis bars={bars} span={shownSpan} />
          <AsTable bars={bars} span={shownSpan} />
        </>
      )}
    </section>
  );
}
