import { useState } from 'react';
import { useMay } from '../api';
import { PostChangesDocument, type PostCoreFragment, PostsDocument, type PostStatus } from '../generated/graphql';
import { useFeed } from '../live';
import { usePaged } from '../paged';
import { Link, paths, useParameter } from '../router';
import { MINUTE, useEvery } from '../time';
import { Ago, Badge, Button, ButtonLink, Chip, Empty, Loading, Moment, PageHead, Problem, rowOfLink, ShowMore } from '../ui/basics';
import { SelectField } from '../ui/form';
import { LiveBadge } from '../ui/live-badge';
import { POST_STATUSES } from '../words';

type Post = PostCoreFragment;

const STATUS_OPTIONS = [['', 'Any status'], ...Object.entries(POST_STATUSES).map(([status, { label }]) => [status, label] as const)] as const;

function When({ post }: { post: Post }) {
  if (post.publishedAt) return <Ago time={post.publishedAt} />;
  if (post.status === 'SCHEDULED' && post.scheduledAt) return <Moment time={post.scheduledAt} />;
  return <Ago time={post.updatedAt} />;
}

/** The accounts of a post to be named in its row, however many there are. */
const MOST_NAMED = 4;

function Accounts({ post }: { post: Post }) {
  const names = post.accounts.map(({ account }) => account.name);
  const named = names.length > MOST_NAMED ? MOST_NAMED - 1 : names.length;
  return (
    <span className="chips">
      {post.accounts.slice(0, named).map(({ account }) => (
        <Chip key={account.id}>{account.name}</Chip>
      ))}
      {named < names.length && (
        <span className="muted" title={names.slice(named).join(', ')}>
          and {names.length - named} more
        </span>
      )}
    </span>
  );
}

function Item({ post }: { post: Post }) {
  const { label, tone } = POST_STATUSES[post.status];
  return (
    <tr {...rowOfLink}>
      <td className="post-body">
        <Link href={paths.post(post.id)} className="row-link" dir="auto">
          {post.body || 'Empty post'}
        </Link>
      </td>
      <td>
        <Badge tone={tone}>{label}</Badge>
      </td>
      <td>
        <Accounts post={post} />
      </td>
      <td className="when">
        <When post={post} />
      </td>
    </tr>
  );
}

function useLivePosts(onGap: () => void) {
  const [changed, setChanged] = useState<ReadonlyMap<string, Post>>(new Map());
  const live = useFeed(PostChangesDocument, { postId: null }, (data) => data.postStatusChanged, {
    onChange: ({ post }) => {
      setChanged((before) => new Map(before).set(post.id, post));
      onGap();
    },
    onGap,
  });
  return { changed, live };
}

export function PostsPage() {
  const { publish } = useMay();
  const [status, setStatus] = useParameter('status');
  const chosen = status !== null && Object.hasOwn(POST_STATUSES, status) ? (status as PostStatus) : null;
  const list = usePaged(PostsDocument, { filter: { trashed: false, ...(chosen && { statuses: [chosen] }) } }, (data) => data.posts);
  const { changed, live } = useLivePosts(list.reload);
  // Of another text or time no stream tells.
  useEvery(MINUTE, list.reload);
  const posts = list.nodes?.map((post) => {
    const newer = changed.get(post.id);
    return newer && newer.updatedAt >= post.updatedAt ? newer : post;
  });
  const choose = (value: string): void => setStatus(value || null);
  const write = publish && (
    <ButtonLink href={paths.newPost} kind="primary" icon="plus">
      Write Post
    </ButtonLink>
  );
  return (
    <>
      <PageHead title="Posts" badge={<LiveBadge state={live} />} lead="Written once, published to each account, watched as they go out." actions={write} />
      {list.problem && <Problem message={list.problem} retry={list.reload} />}
      {!posts && !list.problem && <Loading />}
      {posts && (
        <section className="panel panel-flush" aria-label="Posts">
          {(posts.length > 0 || chosen || !list.isOfFilter) && (
            <div className="panel-head">
              <div className="filters">
                <SelectField label="Status" value={chosen ?? ''} options={STATUS_OPTIONS as readonly (readonly [string, string])[]} onChange={choose} />
              </div>
            </div>
          )}
          {posts.length > 0 ? (
            <table className="post-table">
              <thead>
                <tr>
                  <th scope="col">Post</th>
                  <th scope="col">Status</th>
                  <th scope="col">Accounts</th>
                  <th scope="col">When</th>
                </tr>
              </thead>
              <tbody>
                {posts.map((post) => (
                  <Item key={post.id} post={post} />
                ))}
              </tbody>
            </table>
          ) : !list.isOfFilter ? (
            !list.problem && <Loading />
          ) : (
            <Empty title={chosen ? 'No post has this status' : 'No posts yet'} icon="posts" action={chosen ? <Button onClick={() => choose('')}>Show all posts</Button> : write}>
              {!chosen && publish && 'Publish one and watch the webhooks that listen get it.'}
            </Empty>
          )}
        </section>
      )}
      <ShowMore list={list} />
    </>
  );
}
