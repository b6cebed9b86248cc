import { useState } from 'react';
import { useClient, useQuery } from 'urql';
import { run, sentence, useLast, useMay } from '../api';
import { PostChangesDocument, type PostCoreFragment, PostDeleteDocument, PostDocument, PostPublishDocument } from '../generated/graphql';
import { useFeed } from '../live';
import { fromHere, paths } from '../router';
import { ahead, full, MINUTE, useEvery, useNow } from '../time';
import { Ago, Badge, Button, Empty, Loading, Notice, PageHead, Panel, Problem } from '../ui/basics';
import { Confirm } from '../ui/dialog';
import { LiveBadge } from '../ui/live-badge';
import { say } from '../ui/toast';
import { POST_ACCOUNT_STATUSES, POST_STATUSES, PROVIDERS } from '../words';
import { warning } from './account-choice';
import { ComposePage } from './compose';

type Post = PostCoreFragment;

const TAB_LENGTH = 60;
const POLL_MS = 3_000;
/** Instead of Pending, which would never change. */
const DELETED = { label: 'Account deleted', tone: 'off' } as const;

function safeLink(url: string): string | null {
  return /^https?:\/\//i.test(url) ? url : null;
}

interface AccountProps {
  entry: Post['accounts'][number];
  variant: string | undefined;
  /** Whether it has yet to go out. */
  isOpen: boolean;
}

function Account({ entry, variant, isOpen }: AccountProps) {
  const { label, tone } = entry.account.deleted && entry.status === 'PENDING' ? DELETED : POST_ACCOUNT_STATUSES[entry.status];
  const link = entry.externalUrl && safeLink(entry.externalUrl);
  const obstacle = isOpen && warning(entry.account);
  return (
    <li className="post-account">
      <div className="post-account-head">
        <span>
          <strong dir="auto">{entry.account.name}</strong> <span className="muted">{PROVIDERS[entry.account.provider]}</span>
        </span>
        <Badge tone={tone}>{label}</Badge>
      </div>
      {variant !== undefined && (
        <p className="post-text" dir="auto">
          {variant}
        </p>
      )}
      {obstacle && <p className="step-error">{obstacle}</p>}
      {entry.errors.map((error) => (
        <p key={error} className="step-error">
          {error}
        </p>
      ))}
      {link && (
        <a href={link} rel="noreferrer noopener" target="_blank">
          See it on <bdi>{entry.account.name}</bdi>
        </a>
      )}
    </li>
  );
}

function useVerbs(post: Post, renew: () => void) {
  const client = useClient();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const publish = async (): Promise<void> => {
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', PostPublishDocument, { id: post.id });
    setBusy(false);
    const found = problem ?? data?.postPublish.errors[0]?.message;
    if (found) say(found, true);
    renew();
  };
  const remove = async (): Promise<void> => {
    const go = fromHere();
    setBusy(true);
    const { data, problem } = await run(client, 'mutation', PostDeleteDocument, { ids: [post.id], toTrash: false });
    setBusy(false);
    const found = problem ?? data?.postDelete.errors[0]?.message ?? null;
    if (found !== null) return setFault(found);
    say('The post was deleted here');
    go(paths.posts);
  };
  return { busy, fault, publish, remove };
}

function Scheduled({ post }: { post: Post }) {
  const now = useNow(1_000);
  if (post.status !== 'SCHEDULED' || !post.scheduledAt) return null;
  return (
    <Notice tone="idle" title={`Goes out ${ahead(post.scheduledAt, now)}`}>
      On {full(post.scheduledAt)}. It can be changed until then.
    </Notice>
  );
}

function Detail({ post, renew, badge, onEdit }: { post: Post; renew(): void; badge: React.ReactNode; onEdit(): void }) {
  const { publish: mayPublish } = useMay();
  const { busy, fault, publish, remove } = useVerbs(post, renew);
  const [asking, setAsking] = useState(false);
  const { label, tone } = POST_STATUSES[post.status];
  const isOpen = !post.trashed && (post.status === 'DRAFT' || post.status === 'SCHEDULED');
  const hasFailed = !post.trashed && post.status === 'FAILED';
  const variants = new Map(post.variants.map(({ account, body }) => [account.id, body]));
  return (
    <>
      <PageHead
        title="Post"
        tab={Array.from(post.body).slice(0, TAB_LENGTH).join('') || 'Post'}
        back={{ href: paths.posts, label: 'Posts' }}
        badge={
          <>
            <Badge tone={tone}>{label}</Badge>
            {badge}
          </>
        }
        actions={
          mayPublish && (
            <>
              {(isOpen || hasFailed) && (
                <Button kind="primary" icon="send" busy={busy} onClick={() => void publish()}>
                  {hasFailed ? 'Try again' : 'Publish now'}
                </Button>
              )}
              {isOpen && (
                <Button icon="edit" onClick={onEdit}>
                  Edit
                </Button>
              )}
              <Button kind="danger" icon="trash" onClick={() => setAsking(true)}>
                Delete
              </Button>
            </>
          )
        }
      />
      <Scheduled post={post} />
      {post.trashed && (
        <Notice tone="idle" title="In the trash">
          It can only be deleted.
        </Notice>
      )}
      <Panel title="Text">
        <p className="post-text" dir="auto">
          {post.body}
        </p>
        <p className="muted">
          Written <Ago time={post.createdAt} />
          {post.publishedAt && (
            <>
              , published <Ago time={post.publishedAt} />
            </>
          )}
        </p>
      </Panel>
      <Panel title="Accounts">
        {post.accounts.length === 0 && <p className="muted">It goes to no account yet.</p>}
        <ul className="post-accounts">
          {post.accounts.map((entry) => (
            <Account key={entry.account.id} entry={entry} variant={variants.get(entry.account.id)} isOpen={isOpen} />
          ))}
        </ul>
      </Panel>
      {asking && (
        <Confirm title="Delete this post?" action="Delete the post" busy={busy} problem={fault} onConfirm={() => void remove()} onClose={() => setAsking(false)}>
          <p>It is deleted here and is not published any more. What is on the networks already stays there.</p>
        </Confirm>
      )}
    </>
  );
}

export function PostPage({ id }: { id: string }) {
  const [{ data: read, error }, reload] = useQuery({ query: PostDocument, variables: { id } });
  const data = useLast(read, id);
  // As it was when editing began, whatever is read meanwhile.
  const [editing, setEditing] = useState<Post | null>(null);
  const renew = (): void => reload({ requestPolicy: 'network-only' });
  const live = useFeed(PostChangesDocument, { postId: id }, (change) => change.postStatusChanged, { onChange: renew, onGap: renew });
  const post = data?.post;
  // The stream tells of its status alone: not that one account has it while others wait, nor of another time or text.
  useEvery(post ? (post.status === 'PUBLISHING' ? POLL_MS : MINUTE) : null, renew);
  if (editing) {
    return (
      <ComposePage
        post={editing}
        onDone={() => {
          setEditing(null);
          renew();
        }}
      />
    );
  }
  if (post) {
    return (
      <>
        {error && <Problem message={sentence(error)} retry={renew} />}
        <Detail post={post} renew={renew} badge={<LiveBadge state={live} />} onEdit={() => setEditing(post)} />
      </>
    );
  }
  return (
    <>
      <PageHead title="Post" back={{ href: paths.posts, label: 'Posts' }} />
      {error && <Problem message={sentence(error)} retry={renew} />}
      {!data && !error && <Loading />}
      {data && <Empty title="There is no such post">It may have been deleted.</Empty>}
    </>
  );
}
