import { type FormEvent, useRef, useState } from 'react';
import { useClient } from 'urql';
import { byField, type Faults, run } from '../api';
import { type WebhookCoreFragment, WebhookRotateSecretDocument, WebhookUpdateDocument } from '../generated/graphql';
import { Button } from '../ui/basics';
import { Confirm, Dialog } from '../ui/dialog';
import { atOnce, OtherFaults, SelectField, showFaults, TextField } from '../ui/form';
import { say } from '../ui/toast';

const OVERLAPS = [
  ['0', 'None: the old one stops at once'],
  ['3600', 'One hour'],
  ['86400', 'One day'],
  ['604800', 'One week'],
] as const;

function StopSigning({ webhook, onClose }: { webhook: WebhookCoreFragment; onClose(): void }) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const stop = async (): Promise<void> => {
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', WebhookUpdateDocument, { id: webhook.id, input: { secret: null } });
    setBusy(false);
    const found = problem ?? data?.webhookUpdate.errors[0]?.message ?? null;
    if (found !== null) return setFault(found);
    say('Deliveries are not signed any more');
    onClose();
  };
  return (
    <Confirm title="Stop signing?" action="Stop signing" busy={busy} problem={fault} onConfirm={() => void stop()} onClose={onClose}>
      <p>The secret is deleted here. A receiver that checks signatures will refuse every delivery from now on.</p>
    </Confirm>
  );
}

interface RotateProps {
  webhook: WebhookCoreFragment;
  onSecret(secret: string): void;
  onClose(): void;
}

export function RotateDialog({ webhook, onSecret, onClose }: RotateProps) {
  const client = useClient();
  const form = useRef<HTMLFormElement>(null);
  const [secret, setSecret] = useState('');
  const [overlap, setOverlap] = useState<(typeof OVERLAPS)[number][0]>('86400');
  const [faults, setFaults] = useState<Faults>(new Map());
  const [busy, setBusy] = useState(false);
  const [stopping, setStopping] = useState(false);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    atOnce(() => setBusy(true));
    const input = { secret: secret || null, overlapSeconds: webhook.hasSecret ? Number(overlap) : 0 };
    const { data, problem } = await run(client, 'mutation', WebhookRotateSecretDocument, { id: webhook.id, input });
    setBusy(false);
    const found = data === null ? new Map([['', problem]]) : byField(data.webhookRotateSecret.errors);
    if (found.size > 0) return showFaults(form.current, () => setFaults(found));
    const made = data?.webhookRotateSecret.secret;
    if (made) onSecret(made);
    onClose();
  };

  if (stopping) return <StopSigning webhook={webhook} onClose={onClose} />;
  return (
    <Dialog title={webhook.hasSecret ? 'Rotate the secret' : 'Set a secret'} onClose={onClose}>
      <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <OtherFaults faults={faults} known={['secret', 'overlapSeconds']} />
        <TextField
          label="New secret"
          className="mono"
          autoComplete="off"
          spellCheck={false}
          value={secret}
          onChange={(event) => setSecret(event.target.value)}
          error={faults.get('secret')}
          hint="Left empty, one is generated. It is shown once."
        />
        {webhook.hasSecret && (
          <SelectField
            label="Overlap"
            value={overlap}
            options={OVERLAPS}
            onChange={setOverlap}
            error={faults.get('overlapSeconds')}
            hint="For this long requests carry both signatures, so that your server can change over without losing one."
          />
        )}
        <div className="dialog-actions">
          {webhook.hasSecret && (
            <Button kind="danger" className="at-start" onClick={() => setStopping(true)}>
              Stop signing
            </Button>
          )}
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {webhook.hasSecret ? 'Rotate' : 'Set the secret'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
