import { type ReactNode, useEffect, useMemo } from 'react';
import { Provider, useQuery } from 'urql';
import { createApi, sentence, ViewerContext } from './api';
import { ViewerDocument } from './generated/graphql';
import { Socket, SocketContext } from './live';
import { AccountsPage } from './pages/accounts';
import { DeliveriesPage } from './pages/deliveries';
import { DeliveryPage } from './pages/delivery';
import { ComposePage } from './pages/compose';
import { PostPage } from './pages/post';
import { PostsPage } from './pages/posts';
import { SignInPage } from './pages/sign-in';
import { EditWebhookPage, NewWebhookPage } from './pages/webhook-form';
import { WebhookPage } from './pages/webhook';
import { WebhooksPage } from './pages/webhooks';
import { match, navigate, paths, usePath } from './router';
import { useSession } from './session';
import { Shell } from './shell';
import { ButtonLink, Empty, Loading, PageHead, Problem } from './ui/basics';
import { Broken } from './ui/broken';
import { Toasts } from './ui/toast';

const ROUTES: readonly (readonly [string, (found: Record<string, string>) => ReactNode])[] = [
  ['/webhooks', () => <WebhooksPage />],
  ['/webhooks/new', () => <NewWebhookPage />],
  ['/webhooks/:id', ({ id = '' }) => <WebhookPage key={id} id={id} />],
  ['/webhooks/:id/edit', ({ id = '' }) => <EditWebhookPage key={id} id={id} />],
  ['/deliveries', () => <DeliveriesPage />],
  ['/deliveries/:id', ({ id = '' }) => <DeliveryPage key={id} id={id} />],
  ['/accounts', () => <AccountsPage />],
  ['/posts', () => <PostsPage />],
  ['/posts/new', () => <ComposePage />],
  ['/posts/:id', ({ id = '' }) => <PostPage key={id} id={id} />],
];

function Page() {
  const path = usePath();
  const isHome = path === '/' || path === paths.signIn;
  useEffect(() => {
    if (isHome) navigate(paths.webhooks, { replace: true });
  }, [isHome]);
  if (isHome) return null;
  for (const [pattern, render] of ROUTES) {
    const found = match(pattern, path);
    if (found) return render(found);
  }
  return <NotFound />;
}

function NotFound() {
  return (
    <>
      <PageHead title="There is no such page" />
      <Empty title="Check the address" action={<ButtonLink href={paths.webhooks}>To the webhooks</ButtonLink>}>
        It may be mistyped, or what it showed was deleted.
      </Empty>
    </>
  );
}

function Workspace({ socket }: { socket: Socket }) {
  const [{ data, error, fetching }, reload] = useQuery({ query: ViewerDocument });
  const path = usePath();
  if (data) {
    return (
      <ViewerContext value={data.viewer}>
        <SocketContext value={socket}>
          <Shell viewer={data.viewer}>
            <Broken page={path}>
              <Page />
            </Broken>
          </Shell>
        </SocketContext>
      </ViewerContext>
    );
  }
  return (
    <main className="lonely">
      {error && !fetching ? <Problem message={sentence(error)} retry={() => reload({ requestPolicy: 'network-only' })} /> : <Loading what="Entering the workspace" />}
    </main>
  );
}

function SignedIn({ token }: { token: string }) {
  const { api, socket } = useMemo(() => ({ api: createApi(token), socket: new Socket(token) }), [token]);
  return (
    <Provider value={api}>
      <Workspace socket={socket} />
    </Provider>
  );
}

export function App() {
  const { token, refusal } = useSession();
  const hasCode = usePath() === paths.signIn && location.hash.startsWith('#code=');
  return (
    <>
      {token !== null && !hasCode ? <SignedIn key={token} token={token} /> : <SignInPage refusal={refusal} />}
      <Toasts />
    </>
  );
}
