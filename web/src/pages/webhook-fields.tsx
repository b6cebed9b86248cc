import { useQuery } from 'urql';
import type { Faults } from '../api';
import { type ContentType, EventTypesDocument, type EventType, type HttpMethod } from '../generated/graphql';
import { Button } from '../ui/basics';
import { CopyButton } from '../ui/code';
import { CheckBox, Group, SelectField, TextField } from '../ui/form';
import { EVENT_TYPES, EVENTS } from '../words';

export interface Header {
  name: string;
  value: string;
}

export interface Draft {
  name: string;
  callbackUrl: string;
  method: HttpMethod;
  contentType: ContentType;
  maxAttempts: string;
  active: boolean;
  secret: string;
  events: readonly EventType[];
  headers: readonly Header[];
}

const METHODS = [
  ['POST', 'POST'],
  ['PUT', 'PUT'],
  ['PATCH', 'PATCH'],
  ['DELETE', 'DELETE'],
] as const;
const CONTENT_TYPES = [
  ['JSON', 'application/json'],
  ['FORM', 'application/x-www-form-urlencoded'],
] as const;
const ACTIVE = [
  ['yes', 'Active'],
  ['no', 'Inactive'],
] as const;

interface PartProps {
  draft: Draft;
  faults: Faults;
  change(part: Partial<Draft>): void;
}

export function Details({ draft, faults, change }: PartProps) {
  return (
    <Group title="Details">
      <TextField label="Name" value={draft.name} maxLength={300} required onChange={(event) => change({ name: event.target.value })} error={faults.get('name')} />
      <TextField
        label="Callback URL"
        type="url"
        inputMode="url"
        autoComplete="off"
        placeholder="https://example.com/webhooks"
        required
        value={draft.callbackUrl}
        onChange={(event) => change({ callbackUrl: event.target.value })}
        error={faults.get('callbackUrl')}
        hint="Your server answers here, with any status from 200 to 299."
      />
      <div className="field-columns">
        <SelectField label="Method" value={draft.method} options={METHODS} onChange={(method) => change({ method })} error={faults.get('method')} />
        <SelectField label="Content-Type" value={draft.contentType} options={CONTENT_TYPES} onChange={(contentType) => change({ contentType })} error={faults.get('contentType')} />
        <TextField
          label="Max attempts"
          type="number"
          min={1}
          max={20}
          inputMode="numeric"
          value={draft.maxAttempts}
          onChange={(event) => change({ maxAttempts: event.target.value })}
          error={faults.get('maxAttempts')}
          hint="1 to 20. Ten attempts are spread over about three days."
        />
        <SelectField label="Status" value={draft.active ? 'yes' : 'no'} options={ACTIVE} onChange={(value) => change({ active: value === 'yes' })} error={faults.get('active')} />
      </div>
    </Group>
  );
}

/** 256 random bits in the form of Standard Webhooks. */
function generateSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

export function Security({ draft, faults, change }: PartProps) {
  return (
    <Group title="Security" about="With a secret every request is signed, so that your server can tell that it comes from here and was not altered on the way.">
      <TextField
        label="Secret"
        value={draft.secret}
        autoComplete="off"
        spellCheck={false}
        className="mono"
        onChange={(event) => change({ secret: event.target.value })}
        error={faults.get('secret')}
        hint={draft.secret ? 'Copy it to your server now. It is shown once more after saving, and then never again.' : 'Left empty, requests are not signed.'}
        beside={
          <>
            <Button icon="key" onClick={() => change({ secret: generateSecret() })}>
              Generate
            </Button>
            {draft.secret && <CopyButton text={draft.secret} what="Secret" />}
          </>
        }
      />
    </Group>
  );
}

export function Events({ draft, faults, change }: PartProps) {
  const [{ data }] = useQuery({ query: EventTypesDocument, requestPolicy: 'cache-first' });
  const about = new Map(data?.eventTypes.map((info) => [info.type, info]));
  const toggle = (type: EventType, on: boolean): void => change({ events: EVENT_TYPES.filter((other) => (other === type ? on : draft.events.includes(other))) });
  const all = draft.events.length === EVENT_TYPES.length;
  return (
    <Group title="Events" about="What this webhook is told about." error={faults.get('events')}>
      <Button kind="quiet" onClick={() => change({ events: all ? [] : EVENT_TYPES })}>
        {all ? 'Select none' : 'Select all'}
      </Button>
      <div className="event-grid">
        {EVENT_TYPES.map((type) => (
          <CheckBox
            key={type}
            name="events"
            value={type}
            checked={draft.events.includes(type)}
            onChange={(event) => toggle(type, event.target.checked)}
            label={
              <>
                {EVENTS[type]} <code>{about.get(type)?.wireName}</code>
              </>
            }
            hint={about.get(type)?.description}
          />
        ))}
      </div>
    </Group>
  );
}

export function Headers({ draft, faults, change }: PartProps) {
  const set = (index: number, part: Partial<Header>): void =>
    change({ headers: draft.headers.map((header, other) => (other === index ? { ...header, ...part } : header)) });
  return (
    <Group title="Headers" about="Sent with every request, for example an API key that your server asks for. Where your server sends such a secret back, the log hides it if it has four characters or more." error={faults.get('headers')}>
      {draft.headers.map((header, index) => (
        // The index is a safe key: rows have no ids, and all their state is in the draft.
        <div className="header-row" key={index}>
          <TextField label="Header name" autoComplete="off" value={header.name} onChange={(event) => set(index, { name: event.target.value })} error={faults.get(`headers.${index}.name`) ?? faults.get(`headers.${index}`)} />
          <TextField label="Value" autoComplete="off" value={header.value} onChange={(event) => set(index, { value: event.target.value })} error={faults.get(`headers.${index}.value`)} />
          <Button kind="quiet" icon="trash" aria-label={`Remove header ${header.name || index + 1}`} onClick={() => change({ headers: draft.headers.filter((_, other) => other !== index) })} />
        </div>
      ))}
      {draft.headers.length < 20 && (
        <Button icon="plus" onClick={() => change({ headers: [...draft.headers, { name: '', value: '' }] })}>
          Add a header
        </Button>
      )}
    </Group>
  );
}
