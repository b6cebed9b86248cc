import { type FormEvent, useRef, useState } from 'react';
import { useClient } from 'urql';
import { useAllAccounts } from '../accounts';
import { byField, type Faults, run, useMay } from '../api';
import { changes } from '../changes';
import { AccountAddDocument, type AccountCoreFragment, AccountDeleteDocument, AccountUpdateDocument, type Provider } from '../generated/graphql';
import { Ago, Badge, Button, Empty, Loading, PageHead, Problem } from '../ui/basics';
import { Confirm, Dialog } from '../ui/dialog';
import { atOnce, OtherFaults, SelectField, showFaults, TextField } from '../ui/form';
import { say } from '../ui/toast';
import { PROVIDERS } from '../words';

type Account = AccountCoreFragment;

const PROVIDER_OPTIONS = [
  ['SANDBOX', 'Sandbox, for trying things out'],
  ['MASTODON', 'Mastodon'],
  ['BLUESKY', 'Bluesky'],
] as const satisfies readonly (readonly [Provider, string])[];
const BEHAVIOURS = [
  ['ok', 'Publishes'],
  ['slow', 'Publishes slowly'],
  ['failing', 'Fails'],
  ['unauthorized', 'Refuses the credentials'],
  ['rate-limited', 'Publishes after a wait'],
  ['partially-failing', 'Fails once, then publishes'],
] as const;
const FIELDS = ['server', 'identifier', 'credential', 'name', 'provider'];

interface Draft {
  provider: Provider;
  server: string;
  identifier: string;
  credential: string;
  name: string;
}

/** Each provider needs different fields. */
function ProviderFields({ draft, faults, change }: { draft: Draft; faults: Faults; change(part: Partial<Draft>): void }) {
  const server = { error: faults.get('server'), value: draft.server };
  const identifier = { error: faults.get('identifier'), value: draft.identifier, onChange: (event: { target: HTMLInputElement }) => change({ identifier: event.target.value }) };
  const credential = {
    error: faults.get('credential'),
    value: draft.credential,
    type: 'password',
    // Otherwise a browser fills in the password it has stored for this site.
    autoComplete: 'new-password',
    onChange: (event: { target: HTMLInputElement }) => change({ credential: event.target.value }),
  };
  switch (draft.provider) {
    case 'SANDBOX':
      return (
        <>
          <TextField label="Account name" {...identifier} hint="Any name. Nothing leaves this machine." />
          <SelectField label="What happens" options={BEHAVIOURS} error={server.error} value={(draft.server || 'ok') as 'ok'} onChange={(value) => change({ server: value })} />
        </>
      );
    case 'MASTODON':
      return (
        <>
          <TextField label="Server" type="url" placeholder="https://mastodon.social" {...server} onChange={(event) => change({ server: event.target.value })} />
          <TextField label="Access token" {...credential} hint="From your server's settings, under Development. It needs read:accounts, read:statuses and write:statuses." />
        </>
      );
    case 'BLUESKY':
      return (
        <>
          <TextField label="Handle" placeholder="you.bsky.social" {...identifier} />
          <TextField label="App password" {...credential} hint="From Bluesky's settings, under App passwords. Never your real password." />
          <TextField label="Server" type="url" placeholder="https://bsky.social" {...server} onChange={(event) => change({ server: event.target.value })} hint="Leave empty for bsky.social." />
        </>
      );
  }
}

function AddDialog({ onClose, onAdded }: { onClose(): void; onAdded(): void }) {
  const client = useClient();
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState<Draft>({ provider: 'SANDBOX', server: '', identifier: '', credential: '', name: '' });
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const change = (part: Partial<Draft>): void => setDraft((before) => ({ ...before, ...part }));
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    atOnce(() => setBusy(true));
    const { provider, server, identifier, credential, name } = draft;
    const input = { provider, server: server.trim() || null, identifier: identifier.trim() || null, credential: credential || null, name: name.trim() || null };
    const { data, problem } = await run(client, 'mutation', AccountAddDocument, { input });
    setBusy(false);
    const found = data === null ? new Map([['', problem]]) : byField(data.accountAdd.errors);
    if (found.size > 0) return showFaults(form.current, () => setFaults(found));
    say(<><bdi>{data?.accountAdd.account?.name ?? 'The account'}</bdi> was added</>);
    onAdded();
    onClose();
  };
  return (
    <Dialog title="Add an account" onClose={onClose}>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <OtherFaults faults={faults} known={FIELDS} />
        <SelectField label="Network" value={draft.provider} options={PROVIDER_OPTIONS} error={faults.get('provider')} onChange={(provider) => change({ provider, server: '', identifier: '', credential: '' })} />
        <ProviderFields draft={draft} faults={faults} change={change} />
        <TextField label="Name shown here" value={draft.name} error={faults.get('name')} onChange={(event) => change({ name: event.target.value })} hint="Leave empty to use its name on the network." />
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Add the account
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function EditDialog({ account, onClose, onSaved }: { account: Account; onClose(): void; onSaved(): void }) {
  const client = useClient();
  const form = useRef<HTMLFormElement>(null);
  const [begun] = useState({ name: account.name, credential: '' });
  const [draft, setDraft] = useState(begun);
  const change = (part: Partial<typeof draft>): void => setDraft((before) => ({ ...before, ...part }));
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    atOnce(() => setBusy(true));
    const input = changes(begun, draft);
    const { data, problem } = await run(client, 'mutation', AccountUpdateDocument, { id: account.id, input });
    setBusy(false);
    const found = data === null ? new Map([['', problem]]) : byField(data.accountUpdate.errors);
    if (found.size > 0) return showFaults(form.current, () => setFaults(found));
    onSaved();
    onClose();
  };
  return (
    <Dialog title={<>Edit <bdi>{account.name}</bdi></>} onClose={onClose}>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <OtherFaults faults={faults} known={['name', 'credential']} />
        <TextField label="Name shown here" value={draft.name} error={faults.get('name')} onChange={(event) => change({ name: event.target.value })} />
        <TextField
          label={account.provider === 'BLUESKY' ? 'New app password' : 'New access token'}
          type="password"
          autoComplete="new-password"
          value={draft.credential}
          error={faults.get('credential')}
          onChange={(event) => change({ credential: event.target.value })}
          hint="Leave empty to keep the current one. A new one authorises the account again."
        />
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ account, onClose, onDeleted }: { account: Account; onClose(): void; onDeleted(): void }) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const remove = async (): Promise<void> => {
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', AccountDeleteDocument, { id: account.id });
    setBusy(false);
    const found = problem ?? data?.accountDelete.errors[0]?.message ?? null;
    if (found !== null) return setFault(found);
    say(<><bdi>{account.name}</bdi> was deleted</>);
    onDeleted();
    onClose();
  };
  return (
    <Confirm title={<>Delete <bdi>{account.name}</bdi>?</>} action="Delete the account" busy={busy} problem={fault} onConfirm={() => void remove()} onClose={onClose}>
      <p>Nothing more is published to it. What is published stays on the network.</p>
    </Confirm>
  );
}

/** The account's server; for a sandbox account, how it behaves. */
function serverOf({ provider, data }: Account): string {
  if (typeof data !== 'object' || data === null || !('server' in data) || typeof data.server !== 'string') return '';
  const { server } = data;
  const behaviour = provider === 'SANDBOX' && BEHAVIOURS.find(([name]) => name === server)?.[1].toLowerCase();
  return behaviour || server.replace(/^https?:\/\//, '');
}

interface RowProps {
  account: Account;
  onEdit(): void;
  onDelete(): void;
}

function Row({ account, onEdit, onDelete }: RowProps) {
  const { publish } = useMay();
  return (
    <tr>
      <td className="account-name">
        <div className="account-line">
          <span className={`avatar avatar-${account.provider.toLowerCase()}`} aria-hidden="true">
            {Array.from(account.name)[0]?.toUpperCase() ?? '?'}
          </span>
          <span>
            <strong dir="auto">{account.name}</strong>
            {account.username && <span className="url">@{account.username.replace(/^@/, '')}</span>}
          </span>
        </div>
      </td>
      <td>
        {PROVIDERS[account.provider]} <span className="muted">{serverOf(account)}</span>
      </td>
      <td>{account.authorized ? <Badge tone="good">Authorised</Badge> : <Badge tone="bad">Refused: authorise again</Badge>}</td>
      <td className="when">
        <span className="only-narrow">Added </span>
        <Ago time={account.createdAt} />
      </td>
      <td className="row-actions">
        {publish && (
          <>
            <Button kind="quiet" icon="edit" aria-label={`Edit ${account.name}`} onClick={onEdit} />
            <Button kind="quiet" icon="trash" aria-label={`Delete ${account.name}`} onClick={onDelete} />
          </>
        )}
      </td>
    </tr>
  );
}

type Open = { kind: 'add' } | { kind: 'edit' | 'delete'; account: Account } | null;

export function AccountsPage() {
  const { accounts, problem, reload } = useAllAccounts();
  const [dialog, open] = useState<Open>(null);
  const { publish } = useMay();
  // A late answer to a dialog that was closed meanwhile must not close another one.
  const close = (): void => open((now) => (now === dialog ? null : now));
  const add = publish && (
    <Button kind="primary" icon="plus" onClick={() => open({ kind: 'add' })}>
      Add Account
    </Button>
  );
  return (
    <>
      <PageHead title="Accounts" lead="Where posts go." actions={add} />
      {problem && <Problem message={problem} retry={reload} />}
      {!accounts && !problem && <Loading />}
      {accounts?.length === 0 && (
        <div className="panel">
          <Empty title="No accounts yet" icon="accounts" action={add}>
            {publish && 'Connect Mastodon or Bluesky, or begin with a sandbox account, which publishes nowhere.'}
          </Empty>
        </div>
      )}
      {accounts && accounts.length > 0 && (
        <div className="panel panel-flush">
          <table className="account-table">
            <thead>
              <tr>
                <th scope="col">Account</th>
                <th scope="col">Network</th>
                <th scope="col">State</th>
                <th scope="col">Added</th>
                <th scope="col">
                  <span className="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {accounts.map((account) => (
                <Row key={account.id} account={account} onEdit={() => open({ kind: 'edit', account })} onDelete={() => open({ kind: 'delete', account })} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {dialog?.kind === 'add' && <AddDialog onClose={close} onAdded={reload} />}
      {dialog?.kind === 'edit' && <EditDialog account={dialog.account} onClose={close} onSaved={reload} />}
      {dialog?.kind === 'delete' && <DeleteDialog account={dialog.account} onClose={close} onDeleted={reload} />}
    </>
  );
}
