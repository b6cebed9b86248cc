import { useState } from 'react';
import type { AttemptFullFragment, DeliveryQuery } from '../generated/graphql';
import { duration } from '../time';
import { Moment } from '../ui/basics';
import { CodeBlock, CopyButton, Tabs } from '../ui/code';
import { adviceOnStatus, OUTCOMES, type Tone } from '../words';
import { asCurl, bodyOf, isKnown } from './curl';

type Delivery = NonNullable<DeliveryQuery['delivery']>;

function lines(headers: AttemptFullFragment['requestHeaders']): string {
  return headers.map(({ name, value }) => `${name}: ${value}`).join('\n');
}

function isJson(body: string): boolean {
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
}

/** A note on a body that is missing or incomplete; null if it is shown whole. */
function lack({ responseBody, responseTruncated }: AttemptFullFragment): string | null {
  if (responseBody === null) return 'The body is no longer kept.';
  if (!responseTruncated) return responseBody ? null : 'The body was empty.';
  return responseBody ? 'This is not all of it: at most 16 KiB are kept, of what came within two seconds.' : 'Nothing of the body came within two seconds.';
}

function Response({ attempt }: { attempt: AttemptFullFragment }) {
  if (attempt.responseStatus === null) return <p className="muted">There was no answer.</p>;
  const body = attempt.responseBody ?? '';
  const json = isJson(body);
  const lacking = lack(attempt);
  return (
    <>
      <CodeBlock text={`${attempt.responseStatus}\n${lines(attempt.responseHeaders)}`} what="Response headers" wrap />
      {body && <CodeBlock text={body} what="Response body" json={json} wrap={!json} />}
      {lacking && <p className="muted">{lacking}</p>}
    </>
  );
}

function Request({ attempt, delivery }: { attempt: AttemptFullFragment; delivery: Delivery }) {
  return (
    <>
      <CodeBlock text={`${attempt.requestMethod} ${attempt.requestUrl}\n${lines(attempt.requestHeaders)}`} what="Request headers" wrap />
      <CodeBlock text={bodyOf(attempt, delivery)} what="Request body" wrap />
      {isKnown(attempt) ? (
        <CopyButton text={asCurl(attempt, delivery)} what="Command" label="Copy as curl" />
      ) : (
        <p className="muted">Its headers are not known.</p>
      )}
    </>
  );
}

function toneOf(attempt: AttemptFullFragment): Tone {
  if (attempt.outcome === 'SUCCEEDED') return 'good';
  return attempt.outcome === 'INTERRUPTED' ? 'off' : 'bad';
}

function advice(attempt: AttemptFullFragment): string | null {
  if (attempt.outcome === 'HTTP_ERROR' && attempt.responseStatus !== null) return adviceOnStatus(attempt.responseStatus);
  return OUTCOMES[attempt.outcome].advice;
}

function Attempt({ attempt, delivery, isLast }: { attempt: AttemptFullFragment; delivery: Delivery; isLast: boolean }) {
  // Somebody may be reading this attempt when the next one comes, so it stays open.
  const [wasLast] = useState(isLast);
  const status = attempt.responseStatus;
  const todo = advice(attempt);
  return (
    <li className={`step tone-${toneOf(attempt)}`}>
      <details open={wasLast}>
        <summary>
          <strong>Attempt {attempt.number}</strong>
          <span className="step-result">{status ?? OUTCOMES[attempt.outcome].label}</span>
          <span className="muted">{duration(attempt.durationMs)}</span>
          <Moment time={attempt.startedAt} />
        </summary>
        {attempt.error && <p className="step-error">{attempt.error}</p>}
        {todo && <p className="step-advice">{todo}</p>}
        <Tabs
          label={`Attempt ${attempt.number}`}
          tabs={[
            { key: 'response', label: 'Response', body: () => <Response attempt={attempt} /> },
            { key: 'request', label: 'Request', body: () => <Request attempt={attempt} delivery={delivery} /> },
          ]}
        />
      </details>
    </li>
  );
}

function Plain({ tone, title, time }: { tone: Tone; title: string; time: string | null }) {
  return (
    <li className={`step step-plain tone-${tone}`}>
      <strong>{title}</strong>
      {time && <Moment time={time} />}
    </li>
  );
}

const ENDS = {
  SUCCEEDED: { tone: 'good', title: 'Delivered' },
  FAILED: { tone: 'bad', title: 'Given up' },
  CANCELLED: { tone: 'off', title: 'Cancelled' },
} as const satisfies Record<string, { tone: Tone; title: string }>;

function End({ delivery }: { delivery: Delivery }) {
  const { status, finishedAt, nextAttemptAt } = delivery;
  if (status === 'SUCCEEDED' || status === 'FAILED' || status === 'CANCELLED') return <Plain {...ENDS[status]} time={finishedAt} />;
  if (status === 'DELIVERING') return <Plain tone="busy" title="Being sent right now" time={null} />;
  return <Plain tone={status === 'RETRYING' ? 'warn' : 'idle'} title={status === 'RETRYING' ? 'Next attempt' : 'Waiting to be sent'} time={nextAttemptAt} />;
}

/** The delivery's life from the event to its end; the last attempt is open. */
export function Timeline({ delivery }: { delivery: Delivery }) {
  const last = delivery.attempts.at(-1);
  return (
    <ol className="timeline">
      <Plain tone="off" title="The event happened" time={delivery.event.occurredAt} />
      {delivery.attempts.map((attempt) => (
        <Attempt key={attempt.id} attempt={attempt} delivery={delivery} isLast={attempt === last} />
      ))}
      <End delivery={delivery} />
    </ol>
  );
}
