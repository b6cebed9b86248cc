import { type FormEvent, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { byField, type Faults, run, useLast } from '../api';
import { DeliveriesCountDocument, DeliveriesReplayDocument, type DeliveryStatus, ReplayDocument, type WebhookCoreFragment } from '../generated/graphql';
import { DAY, fromLocal, LATEST, toLocal, useEvery } from '../time';
import { Button, Notice } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { atOnce, CheckBox, Group, halfFilled, OtherFaults, showFaults, TextField } from '../ui/form';
import { STATUSES } from '../words';

const REPLAYABLE = ['FAILED', 'CANCELLED', 'SUCCEEDED'] as const satisfies readonly DeliveryStatus[];
const POLL_MS = 1_000;

function counted(deliveries: number): string {
  return `${deliveries.toLocaleString('en')} ${deliveries === 1 ? 'delivery' : 'deliveries'}`;
}

interface ReplayDialogProps {
  webhook: WebhookCoreFragment;
  onStarted(id: string): void;
  onClose(): void;
}

export function ReplayDialog({ webhook, onStarted, onClose }: ReplayDialogProps) {
  const client = useClient();
  const [since, setSince] = useState(() => toLocal(new Date(Date.now() - DAY).toISOString()));
  const [until, setUntil] = useState('');
  const [statuses, setStatuses] = useState<readonly DeliveryStatus[]>(['FAILED']);
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const filter = { webhookId: webhook.id, statuses: [...statuses], createdAfter: fromLocal(since), createdBefore: fromLocal(until) };
  const [{ data: count, fetching, stale, error }] = useQuery({ query: DeliveriesCountDocument, variables: { filter }, pause: statuses.length === 0 });
  // Until the count arrives, urql returns that of an earlier choice.
  const found = statuses.length === 0 ? 0 : fetching || stale ? undefined : count?.deliveries.totalCount;

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    const refuse = (why: Faults): void => showFaults(form.current, () => setFaults(why));
    const unfinished = halfFilled(form.current);
    if (unfinished.size > 0) return refuse(unfinished);
    const from = fromLocal(since);
    if (from === null) return refuse(new Map([['since', 'Choose a start time.']]));
    if (found === 0) return refuse(new Map([['', 'There is nothing to send again: choose another time, or other deliveries.']]));
    atOnce(() => setBusy(true));
    const input = { webhookId: webhook.id, statuses: [...statuses], since: from, until: fromLocal(until) };
    const { data, problem } = await run(client, 'mutation', DeliveriesReplayDocument, { input });
    setBusy(false);
    if (data === null) return refuse(new Map([['', problem]]));
    const { replay, errors } = data.deliveriesReplay;
    if (!replay || errors.length > 0) return refuse(byField(errors));
    onStarted(replay.id);
    onClose();
  };

  return (
    <Dialog title="Replay deliveries" onClose={onClose}>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <p className="dialog-text">Sends finished deliveries again, each as a new one with the same body, but none beside an earlier one that it repeats. Receivers can tell repeats by the event's id.</p>
        <OtherFaults faults={faults} known={['since', 'until', 'statuses']} />
        <div className="field-columns">
          <TextField label="From" name="since" type="datetime-local" max={LATEST} value={since} onChange={(event) => setSince(event.target.value)} error={faults.get('since')} />
          <TextField label="Until" name="until" type="datetime-local" max={LATEST} value={until} onChange={(event) => setUntil(event.target.value)} error={faults.get('until')} hint="Leave empty for now." />
        </div>
        <Group title="Which" error={faults.get('statuses')}>
          <div className="check-row">
            {REPLAYABLE.map((status) => (
              <CheckBox
                key={status}
                label={STATUSES[status].label}
                checked={statuses.includes(status)}
                onChange={(event) => setStatuses(REPLAYABLE.filter((other) => (other === status ? event.target.checked : statuses.includes(other))))}
              />
            ))}
          </div>
        </Group>
        <p role="status" className="field-hint">
          {found !== undefined ? `${counted(found)} ${found === 1 ? 'matches' : 'match'}.` : error && !fetching ? 'The deliveries cannot be counted at the moment.' : 'Counting…'}
        </p>
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" icon="replay" busy={busy}>
            Replay
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The progress of a replay, which continues without this page. */
export function ReplayProgress({ id, onDismiss }: { id: string; onDismiss(): void }) {
  const [{ data: read }, reload] = useQuery({ query: ReplayDocument, variables: { id } });
  const data = useLast(read, id);
  const replay = data?.node && 'total' in data.node ? data.node : null;
  const isDone = replay?.finishedAt != null;
  useEvery(isDone ? null : POLL_MS, () => reload({ requestPolicy: 'network-only' }));
  const close = <Button kind="quiet" icon="cross" aria-label="Dismiss the replay" onClick={onDismiss} />;
  if (data && !replay) return <Notice tone="off" title="There is no such replay" actions={close} />;
  if (!replay) return null;
  const title = isDone ? `Replayed ${counted(replay.done)}` : `Replaying: ${replay.done.toLocaleString('en')} of ${replay.total.toLocaleString('en')}`;
  return (
    <Notice tone={isDone ? 'good' : 'busy'} title={title} actions={close}>
      {isDone ? 'Each is a new delivery in the list below.' : 'It goes on if you leave this page.'}
      <progress aria-label="Replay" max={Math.max(replay.total, 1)} value={isDone && replay.total === 0 ? 1 : replay.done} />
    </Notice>
  );
}
