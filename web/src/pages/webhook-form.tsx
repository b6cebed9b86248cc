import { type FormEvent, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { byField, type Faults, run, sentence, useMay } from '../api';
import {
  type ContentType,
  EventTypesDocument,
  type EventType,
  type HttpMethod,
  WebhookCreateDocument,
  type WebhookCoreFragment,
  WebhookDocument,
  WebhookUpdateDocument,
} from '../generated/graphql';
import { navigate, paths } from '../router';
import { Button, ButtonLink, Empty, Loading, PageHead, Problem } from '../ui/basics';
import { CopyButton } from '../ui/code';
import { CheckBox, focusFirstFault, Group, OtherFaults, SelectField, TextField } from '../ui/form';
import { EVENT_TYPES, EVENTS } from '../words';
import { keepSecret } from './secret';

interface Header {
  name: string;
  value: string;
}

interface Draft {
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

const BLANK: Draft = {
  name: '',
  callbackUrl: '',
  method: 'POST',
  contentType: 'JSON',
  maxAttempts: '10',
  active: true,
  secret: '',
  events: [],
  headers: [],
};

/** Stands for a header's value that the API does not give out. */
const HIDDEN = '(hidden)';

const FIELDS = ['name', 'callbackUrl', 'method', 'contentType', 'maxAttempts', 'active', 'secret', 'events', 'headers'];
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

function Details({ draft, faults, change }: PartProps) {
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

function Security({ draft, faults, change }: PartProps) {
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

function Events({ draft, faults, change }: PartProps) {
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

function Headers({ draft, faults, change }: PartProps) {
  const set = (index: number, part: Partial<Header>): void =>
    change({ headers: draft.headers.map((header, other) => (other === index ? { ...header, ...part } : header)) });
  return (
    <Group title="Headers" about="Sent with every request, for example an API key that your server asks for." error={faults.get('headers')}>
      {draft.headers.map((header, index) => (
        // Rows have no identity of their own, and only the last of them comes and goes.
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

/** What can be told without the server; it has the last word on everything. */
function check(draft: Draft): Faults {
  const found = new Map<string, string>();
  if (!/^\d+$/.test(draft.maxAttempts.trim())) found.set('maxAttempts', 'Give a whole number from 1 to 20.');
  return found;
}

interface FormProps {
  start: Draft;
  action: string;
  cancel: string;
  isNew: boolean;
  /** Gives the faults, or null once it is saved. */
  save(draft: Draft): Promise<Faults | null>;
}

function WebhookForm({ start, action, cancel, isNew, save }: FormProps) {
  const [draft, setDraft] = useState(start);
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const change = (part: Partial<Draft>): void => setDraft((before) => ({ ...before, ...part }));
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const local = check(draft);
    const found = local.size > 0 ? local : await save(draft);
    setBusy(false);
    if (found === null) return;
    setFaults(found);
    focusFirstFault(form.current);
  };
  const parts = { draft, faults, change };
  return (
    <form className="sheet" ref={form} onSubmit={(event) => void submit(event)} noValidate>
      <OtherFaults faults={faults} known={FIELDS} />
      <Details {...parts} />
      {isNew && <Security {...parts} />}
      <Events {...parts} />
      <Headers {...parts} />
      <div className="form-end">
        <Button kind="primary" type="submit" busy={busy}>
          {action}
        </Button>
        <ButtonLink href={cancel} kind="quiet">
          Cancel
        </ButtonLink>
      </div>
    </form>
  );
}

function common(draft: Draft) {
  return {
    name: draft.name,
    callbackUrl: draft.callbackUrl.trim(),
    method: draft.method,
    contentType: draft.contentType,
    maxAttempts: Number(draft.maxAttempts),
    active: draft.active,
    events: [...draft.events],
  };
}

export function NewWebhookPage() {
  const client = useClient();
  const { manageWebhooks } = useMay();
  const save = async (draft: Draft): Promise<Faults | null> => {
    const input = { ...common(draft), secret: draft.secret || null, headers: draft.headers.map((header) => ({ ...header })) };
    const { data, problem } = await run(client, 'mutation', WebhookCreateDocument, { input });
    if (data === null) return new Map([['', problem]]);
    const { webhook, secret, errors } = data.webhookCreate;
    if (errors.length > 0 || !webhook) return byField(errors);
    if (secret) keepSecret(webhook.id, secret);
    navigate(paths.webhook(webhook.id));
    return null;
  };
  return (
    <>
      <PageHead title="Create Webhook" back={{ href: paths.webhooks, label: 'Webhooks' }} />
      {manageWebhooks ? (
        <WebhookForm start={BLANK} action="Create" cancel={paths.webhooks} isNew save={save} />
      ) : (
        <Empty title="Your token may not create webhooks">Ask an administrator of the workspace.</Empty>
      )}
    </>
  );
}

function sameHeaders(one: readonly Header[], other: readonly Header[]): boolean {
  return JSON.stringify(one.map(({ name, value }) => [name, value])) === JSON.stringify(other.map(({ name, value }) => [name, value]));
}

function hiddenValues(headers: readonly Header[]): Faults {
  const message = 'Give this value again: it is hidden, and changing one header replaces all of them.';
  return new Map(headers.flatMap(({ value }, index) => (value === HIDDEN ? [[`headers.${index}.value`, message] as const] : [])));
}

function draftOf(webhook: WebhookCoreFragment): Draft {
  const { name, callbackUrl, method, contentType, active, events, headers } = webhook;
  return { name, callbackUrl, method, contentType, active, events, headers, maxAttempts: String(webhook.maxAttempts), secret: '' };
}

export function EditWebhookPage({ id }: { id: string }) {
  const client = useClient();
  const { manageWebhooks } = useMay();
  const [{ data, error }] = useQuery({ query: WebhookDocument, variables: { id }, requestPolicy: 'network-only' });
  const webhook = data?.webhook;
  const back = { href: paths.webhook(id), label: webhook?.name ?? 'Webhook' };
  const save = async (draft: Draft): Promise<Faults | null> => {
    // Headers are replaced as a whole, so they are sent only where one was changed, and then all with their values.
    const changed = webhook && !sameHeaders(draft.headers, webhook.headers);
    const hidden = changed ? hiddenValues(draft.headers) : new Map<string, string>();
    if (hidden.size > 0) return hidden;
    const input = { ...common(draft), ...(changed && { headers: draft.headers.map(({ name, value }) => ({ name, value })) }) };
    const { data: saved, problem } = await run(client, 'mutation', WebhookUpdateDocument, { id, input });
    if (saved === null) return new Map([['', problem]]);
    if (saved.webhookUpdate.errors.length > 0) return byField(saved.webhookUpdate.errors);
    navigate(paths.webhook(id));
    return null;
  };
  return (
    <>
      <PageHead title="Edit webhook" back={back} />
      {error && <Problem message={sentence(error)} />}
      {!data && !error && <Loading />}
      {data && !webhook && <Empty title="There is no such webhook">It may have been deleted.</Empty>}
      {webhook && manageWebhooks && <WebhookForm start={draftOf(webhook)} action="Save" cancel={back.href} isNew={false} save={save} />}
      {webhook && !manageWebhooks && <Empty title="Your token may not change webhooks">Ask an administrator of the workspace.</Empty>}
    </>
  );
}
