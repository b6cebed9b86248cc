import { type FormEvent, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { byField, type Faults, run, sentence, useMay } from '../api';
import { changes } from '../changes';
import { WebhookCreateDocument, type WebhookCoreFragment, WebhookDocument, WebhookUpdateDocument } from '../generated/graphql';
import { fromHere, paths } from '../router';
import { secrets } from '../session';
import { Button, ButtonLink, Empty, Loading, PageHead, Problem } from '../ui/basics';
import { atOnce, OtherFaults, showFaults } from '../ui/form';
import { Details, type Draft, Events, Headers, Security } from './webhook-fields';

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

const FIELDS = ['name', 'callbackUrl', 'method', 'contentType', 'maxAttempts', 'active', 'secret', 'events', 'headers'];

/** Checks that need no server, which still validates everything. */
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
  /** Returns the faults, or null once the webhook is saved. `begun` is the draft that the form began with. */
  save(draft: Draft, begun: Draft): Promise<Faults | null>;
}

function WebhookForm({ start, action, cancel, isNew, save }: FormProps) {
  const [begun] = useState(start);
  const [draft, setDraft] = useState(begun);
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const change = (part: Partial<Draft>): void => setDraft((before) => ({ ...before, ...part }));
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    atOnce(() => setBusy(true));
    const local = check(draft);
    const found = local.size > 0 ? local : await save(draft, begun);
    setBusy(false);
    if (found === null) return;
    showFaults(form.current, () => setFaults(found));
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
    // If a value is sent back as the API shows it, hidden, the stored value stays.
    headers: draft.headers.map(({ name, value }) => ({ name, value })),
  };
}

export function NewWebhookPage() {
  const client = useClient();
  const { manageWebhooks } = useMay();
  const save = async (draft: Draft): Promise<Faults | null> => {
    const go = fromHere();
    const kept = secrets;
    const input = { ...common(draft), secret: draft.secret || null };
    const { data, problem } = await run(client, 'mutation', WebhookCreateDocument, { input });
    if (data === null) return new Map([['', problem]]);
    const { webhook, secret, errors } = data.webhookCreate;
    if (errors.length > 0 || !webhook) return byField(errors);
    if (secret) kept.set(webhook.id, secret);
    go(paths.webhook(webhook.id));
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

function draftOf(webhook: WebhookCoreFragment): Draft {
  const { name, callbackUrl, method, contentType, active, events, headers } = webhook;
  return { name, callbackUrl, method, contentType, active, events, headers, maxAttempts: String(webhook.maxAttempts), secret: '' };
}

export function EditWebhookPage({ id }: { id: string }) {
  const client = useClient();
  const { manageWebhooks } = useMay();
  const [{ data, error }, reload] = useQuery({ query: WebhookDocument, variables: { id }, requestPolicy: 'network-only' });
  const webhook = data?.webhook;
  const back = { href: paths.webhook(id), label: webhook?.name ?? 'Webhook' };
  const save = async (draft: Draft, begun: Draft): Promise<Faults | null> => {
    const go = fromHere();
    const input = changes(common(begun), common(draft));
    const { data: saved, problem } = await run(client, 'mutation', WebhookUpdateDocument, { id, input });
    if (saved === null) return new Map([['', problem]]);
    if (saved.webhookUpdate.errors.length > 0) return byField(saved.webhookUpdate.errors);
    go(paths.webhook(id));
    return null;
  };
  return (
    <>
      <PageHead title="Edit webhook" back={back} />
      {error && <Problem message={sentence(error)} retry={() => reload({ requestPolicy: 'network-only' })} />}
      {!data && !error && <Loading />}
      {data && !webhook && <Empty title="There is no such webhook">It may have been deleted.</Empty>}
      {webhook && manageWebhooks && <WebhookForm start={draftOf(webhook)} action="Save" cancel={back.href} isNew={false} save={save} />}
      {webhook && !manageWebhooks && <Empty title="Your token may not change webhooks">Ask an administrator of the workspace.</Empty>}
    </>
  );
}
