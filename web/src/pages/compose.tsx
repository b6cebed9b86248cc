import { type FormEvent, useCallback, useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { useAllAccounts } from '../accounts';
import { byField, type Faults, run, useMay } from '../api';
import { changes } from '../changes';
import { type AccountCoreFragment, type PostCoreFragment, PostCreateDocument, PostPublishDocument, PostUpdateDocument } from '../generated/graphql';
import { fromHere, navigate, paths } from '../router';
import { preserve, restored } from '../session';
import { fromLocal, LATEST } from '../time';
import { Button, ButtonLink, Empty, Loading, PageHead, Problem } from '../ui/basics';
import { atOnce, Group, halfFilled, OtherFaults, showFaults, TextArea, TextField } from '../ui/form';
import { say } from '../ui/toast';
import { AccountChoice, type Choice } from './account-choice';
import { BLANK, contentOf, contentOfPost, type Draft, draftOf, faultsOf, type Intent, isSame, ofAccount } from './post-content';

const NEW_POST = 'new post';
const FIELDS = ['body', 'accountIds', 'variants', 'scheduledAt'];

/** Checks that need no server, so that nothing is stored that cannot go out. */
function check(draft: Draft, intent: Intent): Faults {
  const found = new Map<string, string>();
  if (draft.body.trim() === '') found.set('body', 'The text must not be blank.');
  if (intent !== 'draft' && draft.chosen.length === 0) found.set('accountIds', 'Choose at least one account.');
  if (intent === 'schedule' && fromLocal(draft.scheduledAt) === null) found.set('scheduledAt', 'Choose a time.');
  return found;
}

interface ComposerProps {
  accounts: readonly Choice[];
  start: Draft;
  onChange(draft: Draft): void;
  onCancel(): void;
  save(draft: Draft, intent: Intent): Promise<Faults | null>;
}

function Composer({ accounts, start, onChange, onCancel, save }: ComposerProps) {
  const [draft, setDraft] = useState(start);
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState<Intent | null>(null);
  useEffect(() => onChange(draft), [draft, onChange]);
  const form = useRef<HTMLFormElement>(null);
  const change = (part: Partial<Draft>): void => setDraft((before) => ({ ...before, ...part }));
  const send = async (intent: Intent): Promise<void> => {
    if (busy) return;
    atOnce(() => setBusy(intent));
    const missing = new Map([...check(draft, intent), ...halfFilled(form.current)]);
    const found = missing.size > 0 ? missing : await save(draft, intent);
    setBusy(null);
    if (found === null) return;
    showFaults(form.current, () => setFaults(found));
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void send(draft.scheduledAt ? 'schedule' : 'publish');
  };
  return (
    <form className="sheet" ref={form} onSubmit={submit} noValidate>
      <OtherFaults faults={faults} known={[...FIELDS, ...accounts.map(({ id }) => ofAccount(id))]} />
      <Group title="Post">
        <TextArea label="Text" rows={6} dir="auto" required value={draft.body} error={faults.get('body')} onChange={(event) => change({ body: event.target.value })} />
      </Group>
      <Group title="Accounts" about="Each network counts in its own way." error={faults.get('accountIds') ?? faults.get('variants')}>
        {accounts.map((account) => (
          <AccountChoice key={account.id} account={account} draft={draft} error={faults.get(ofAccount(account.id))} change={change} />
        ))}
      </Group>
      <Group title="When">
        <TextField
          label="Publish at"
          name="scheduledAt"
          type="datetime-local"
          max={LATEST}
          value={draft.scheduledAt}
          error={faults.get('scheduledAt')}
          onChange={(event) => change({ scheduledAt: event.target.value })}
          hint={`Leave empty to publish now. Your time zone is ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`}
        />
      </Group>
      <div className="form-end">
        {draft.scheduledAt ? (
          <Button kind="primary" type="submit" icon="clock" busy={busy === 'schedule'}>
            Schedule
          </Button>
        ) : (
          <Button kind="primary" type="submit" icon="send" busy={busy === 'publish'}>
            Publish now
          </Button>
        )}
        <Button busy={busy === 'draft'} onClick={() => void send('draft')}>
          Save as a draft
        </Button>
        <Button kind="quiet" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

/** A post that is not stored yet. It survives a reload, leaving the page and an expired session, but not the tab. */
interface Unsaved {
  draft: Draft;
  // A second click on the button, or a retry after a lost answer, makes no second post.
  idempotencyKey: string;
}

function newUnsaved(accounts: readonly AccountCoreFragment[]): Unsaved {
  const parts = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36));
  return { draft: { ...BLANK, chosen: accounts.length === 1 ? accounts.map(({ id }) => id) : [] }, idempotencyKey: parts.join('-') };
}

interface ComposePageProps {
  post?: PostCoreFragment | null;
  /** Called once the post is saved, or editing is cancelled. */
  onDone?: () => void;
}

/** Writes a new post, or edits one that is still a draft or scheduled. */
export function ComposePage(props: ComposePageProps) {
  const { accounts, problem, reload } = useAllAccounts();
  const { publish } = useMay();
  return (
    <>
      <PageHead title={props.post ? 'Edit post' : 'Write Post'} back={{ href: paths.posts, label: 'Posts' }} />
      {problem && <Problem message={problem} retry={reload} />}
      {!accounts && !problem && <Loading />}
      {!publish && <Empty title="Your token may only read" icon="posts">Ask an administrator of the workspace.</Empty>}
      {publish && accounts?.length === 0 && (
        <Empty title="There is no account to publish to" icon="accounts" action={<ButtonLink href={paths.accounts} kind="primary">To the accounts</ButtonLink>}>
          Add one first. To try it out, add a sandbox account.
        </Empty>
      )}
      {publish && accounts && accounts.length > 0 && <Writing accounts={accounts} {...props} />}
    </>
  );
}

function Writing({ accounts, post = null, onDone }: ComposePageProps & { accounts: readonly AccountCoreFragment[] }) {
  const client = useClient();
  const [unsaved] = useState(() => {
    const { draft, idempotencyKey } = restored<Unsaved>(NEW_POST) ?? newUnsaved(accounts);
    // Leave out accounts that were deleted since.
    return { draft: { ...draft, chosen: draft.chosen.filter((id) => accounts.some((account) => account.id === id)) }, idempotencyKey };
  });
  // If the post changes meanwhile, `post` does too, but the form keeps what it began with.
  const [begun] = useState(post);
  const planned = begun?.scheduledAt ?? null;
  // A deleted account stays in the post until somebody removes it.
  const gone = (begun?.accounts ?? []).filter(({ account }) => !accounts.some(({ id }) => id === account.id));
  const choices: Choice[] = [...gone.map(({ account }) => ({ ...account, deleted: true })), ...accounts];
  // What is stored, as far as this page knows.
  const stored = useRef(begun && { id: begun.id, content: contentOfPost(begun) });

  const store = async (draft: Draft, intent: Intent): Promise<Faults | null> => {
    const content = contentOf(draft, intent, planned);
    const before = stored.current;
    if (before) {
      const input = changes(before.content, content);
      const { data: answer, problem } = await run(client, 'mutation', PostUpdateDocument, { id: before.id, input });
      if (answer === null) return new Map([['', problem]]);
      if (answer.postUpdate.errors.length > 0) return faultsOf(answer.postUpdate.errors, content);
      stored.current = { id: before.id, content };
      return null;
    }
    const { data: answer, problem } = await run(client, 'mutation', PostCreateDocument, { input: { ...content, idempotencyKey: unsaved.idempotencyKey } });
    if (answer === null) return new Map([['', problem]]);
    const { post: made, errors } = answer.postCreate;
    if (!made || errors.length > 0) return faultsOf(errors, content);
    const there = contentOfPost(made);
    const isIt = isSame(there, content);
    stored.current = { id: made.id, content: isIt ? content : there };
    preserve(NEW_POST, null);
    // If an earlier answer got lost, the post has the content that was sent then.
    return isIt ? null : store(draft, intent);
  };

  const save = async (draft: Draft, intent: Intent): Promise<Faults | null> => {
    const go = fromHere();
    const found = await store(draft, intent);
    const id = stored.current?.id;
    if (found !== null || id === undefined) return found;
    if (intent === 'publish') {
      const { data: answer, problem } = await run(client, 'mutation', PostPublishDocument, { id });
      if (answer === null) return new Map([['', problem]]);
      if (answer.postPublish.errors.length > 0) return byField(answer.postPublish.errors);
    }
    say(intent === 'publish' ? 'It goes out now' : intent === 'schedule' ? 'Scheduled' : draft.scheduledAt ? 'Saved as a draft, without its time' : 'Saved as a draft');
    onDone?.();
    go(paths.post(id));
    return null;
  };

  const keep = useCallback((draft: Draft): void => {
    if (stored.current === null) preserve(NEW_POST, { ...unsaved, draft });
  }, [unsaved]);
  const cancel = (): void => {
    if (begun === null) preserve(NEW_POST, null);
    if (onDone) onDone();
    else navigate(paths.posts);
  };
  return <Composer accounts={choices} start={begun ? draftOf(begun) : unsaved.draft} onChange={keep} onCancel={cancel} save={save} />;
}
