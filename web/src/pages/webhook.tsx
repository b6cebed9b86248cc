import { useEffect, useEffectEvent, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { run, sentence, useLast, useMay } from '../api';
import { DeliveryList } from '../deliveries/list';
import { type WebhookCoreFragment, WebhookDeleteDocument, WebhookDocument, WebhookUpdateDocument } from '../generated/graphql';
import { fromHere, paths, useParameter } from '../router';
import { useTurn } from '../time';
import { Ago, Button, ButtonLink, Chip, Empty, Loading, Notice, PageHead, Problem } from '../ui/basics';
import { CopyButton } from '../ui/code';
import { Confirm } from '../ui/dialog';
import { say } from '../ui/toast';
import { DISABLED, eventNames } from '../words';
import { Chart } from './chart';
import { ReplayDialog, ReplayProgress } from './replay';
import { RotateDialog } from './rotate';
import { SecretOnce, useSecret } from './secret';
import { TestDialog } from './test-event';
import { WebhookState } from './webhooks';

type Webhook = WebhookCoreFragment;
type Open = 'test' | 'rotate' | 'replay' | 'deactivate' | 'delete' | null;

/** Activates or deactivates the webhook. Returns why that failed, or null. */
function useSwitch(webhook: Webhook) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  const turn = async (active: boolean): Promise<string | null> => {
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', WebhookUpdateDocument, { id: webhook.id, input: { active } });
    setBusy(false);
    const fault = problem ?? data?.webhookUpdate.errors[0]?.message ?? null;
    if (fault === null) say(active ? 'The webhook is active' : 'The webhook is not active any more');
    return fault;
  };
  return { busy, turn };
}

/** Why nothing goes out, and what to do about it. */
function StateNotice({ webhook }: { webhook: Webhook }) {
  const { busy, turn } = useSwitch(webhook);
  const { manageWebhooks } = useMay();
  if (webhook.active) return null;
  const activate = async (): Promise<void> => {
    const fault = await turn(true);
    if (fault !== null) say(fault, true);
  };
  const reason = webhook.disabledReason && DISABLED[webhook.disabledReason];
  const button = manageWebhooks && (
    <Button kind="primary" busy={busy} onClick={() => void activate()}>
      Activate
    </Button>
  );
  return (
    <Notice tone={reason ? 'bad' : 'off'} title={reason ? reason.label : 'This webhook is not active'} actions={button}>
      {reason ? reason.advice : 'It gets no new deliveries. Those that already wait go out once it is active again.'}
      {webhook.disabledAt && (
        <>
          {' '}
          It was switched off <Ago time={webhook.disabledAt} />.
        </>
      )}
    </Notice>
  );
}

function Facts({ webhook, onRotate }: { webhook: Webhook; onRotate(): void }) {
  const { manageWebhooks } = useMay();
  return (
    <dl className="facts">
      <div className="wide">
        <dt>Callback URL</dt>
        <dd className="with-copy">
          <code className="callback" title={webhook.callbackUrl}>
            {webhook.callbackUrl}
          </code>
          <CopyButton text={webhook.callbackUrl} what="Callback URL" />
        </dd>
      </div>
      <div>
        <dt>Sends</dt>
        <dd>
          {webhook.method} as {webhook.contentType === 'JSON' ? 'JSON' : 'a form'}
        </dd>
      </div>
      <div>
        <dt>Max attempts</dt>
        <dd>{webhook.maxAttempts}</dd>
      </div>
      <div>
        <dt>Security</dt>
        <dd className="with-copy">
          {webhook.hasSecret ? 'Signed' : 'Not signed'}
          {manageWebhooks && (
            <Button kind="quiet" onClick={onRotate}>
              {webhook.hasSecret ? 'Rotate the secret' : 'Set a secret'}
            </Button>
          )}
        </dd>
      </div>
      {webhook.headers.length > 0 && (
        <div className="wide">
          <dt>Headers</dt>
          <dd>
            {webhook.headers.map(({ name, value }) => (
              <code key={name} className="header-line">
                {name}: {value}
              </code>
            ))}
          </dd>
        </div>
      )}
      <div className="wide">
        <dt>Events</dt>
        <dd className="chips">
          {eventNames(webhook.events).map((name) => (
            <Chip key={name}>{name}</Chip>
          ))}
        </dd>
      </div>
    </dl>
  );
}

function DeactivateDialog({ webhook, onClose }: { webhook: Webhook; onClose(): void }) {
  const { busy, turn } = useSwitch(webhook);
  const [fault, setFault] = useState<string | null>(null);
  const deactivate = async (): Promise<void> => {
    const found = await turn(false);
    if (found !== null) return setFault(found);
    onClose();
  };
  return (
    <Confirm title={<>Deactivate <bdi>{webhook.name}</bdi>?</>} action="Deactivate" keep="Keep it active" busy={busy} problem={fault} onConfirm={() => void deactivate()} onClose={onClose}>
      <p>Events that happen while it is not active are never delivered to it. Deliveries that already wait go out once it is active again.</p>
    </Confirm>
  );
}

function DeleteDialog({ webhook, onClose }: { webhook: Webhook; onClose(): void }) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const remove = async (): Promise<void> => {
    const go = fromHere();
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', WebhookDeleteDocument, { id: webhook.id });
    setBusy(false);
    const found = problem ?? data?.webhookDelete.errors[0]?.message ?? null;
    if (found !== null) return setFault(found);
    say(<><bdi>{webhook.name}</bdi> was deleted</>);
    go(paths.webhooks);
  };
  return (
    <Confirm title={<>Delete <bdi>{webhook.name}</bdi>?</>} action="Delete the webhook" busy={busy} problem={fault} onConfirm={() => void remove()} onClose={onClose}>
      <p>What still waits to be delivered is cancelled. The log of what was delivered stays.</p>
    </Confirm>
  );
}

function Actions({ webhook, open }: { webhook: Webhook; open(dialog: Open): void }) {
  const { manageWebhooks } = useMay();
  if (!manageWebhooks) return null;
  return (
    <>
      <Button kind="primary" icon="send" onClick={() => open('test')}>
        Send a test event
      </Button>
      <Button icon="replay" onClick={() => open('replay')}>
        Replay
      </Button>
      <ButtonLink href={paths.editWebhook(webhook.id)} icon="edit">
        Edit
      </ButtonLink>
      {webhook.active && (
        <Button icon="pause" onClick={() => open('deactivate')}>
          Deactivate
        </Button>
      )}
      <Button kind="danger" icon="trash" onClick={() => open('delete')}>
        Delete
      </Button>
    </>
  );
}

function Detail({ webhook, renew }: { webhook: Webhook; renew(): void }) {
  const [dialog, open] = useState<Open>(null);
  const [changes, setChanges] = useState(0);
  const turn = useTurn(changes);
  // Nothing tells that a webhook was switched off but the deliveries that ended so.
  const again = useEffectEvent(renew);
  useEffect(() => {
    if (turn > 0) again();
  }, [turn]);
  const [replay, setReplay] = useParameter('replay');
  const { secret, show, forget } = useSecret(webhook.id);
  const { manageWebhooks } = useMay();
  // An answer that comes late, to a dialog that was closed meanwhile, closes no other.
  const close = (): void => open((now) => (now === dialog ? null : now));
  return (
    <>
      <PageHead
        title={webhook.name}
        back={{ href: paths.webhooks, label: 'Webhooks' }}
        badge={<WebhookState webhook={webhook} />}
        actions={<Actions webhook={webhook} open={open} />}
      />
      {secret && <SecretOnce secret={secret} onDone={forget} />}
      <StateNotice webhook={webhook} />
      {replay && <ReplayProgress id={replay} onDismiss={() => setReplay(null)} />}
      <div className="webhook-top">
        <div className="panel">
          <Facts webhook={webhook} onRotate={() => open('rotate')} />
        </div>
        <Chart webhookId={webhook.id} turn={turn} />
      </div>
      <DeliveryList
        webhookId={webhook.id}
        active={webhook.active}
        onChanges={setChanges}
        firstStep={
          manageWebhooks && (
            <Button icon="send" onClick={() => open('test')}>
              Send the first one
            </Button>
          )
        }
      />
      {dialog === 'test' && <TestDialog webhook={webhook} onClose={close} />}
      {dialog === 'rotate' && <RotateDialog webhook={webhook} onSecret={show} onClose={close} />}
      {dialog === 'replay' && <ReplayDialog webhook={webhook} onStarted={setReplay} onClose={close} />}
      {dialog === 'deactivate' && <DeactivateDialog webhook={webhook} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog webhook={webhook} onClose={close} />}
    </>
  );
}

export function WebhookPage({ id }: { id: string }) {
  const [{ data: read, error }, reload] = useQuery({ query: WebhookDocument, variables: { id } });
  const data = useLast(read, id);
  const renew = (): void => reload({ requestPolicy: 'network-only' });
  const problem = error && <Problem message={sentence(error)} retry={renew} />;
  if (data?.webhook) {
    return (
      <>
        {problem}
        <Detail webhook={data.webhook} renew={renew} />
      </>
    );
  }
  return (
    <>
      <PageHead title="Webhook" back={{ href: paths.webhooks, label: 'Webhooks' }} />
      {problem}
      {!data && !error && <Loading />}
      {data && <Empty title="There is no such webhook">It may have been deleted.</Empty>}
    </>
  );
}
