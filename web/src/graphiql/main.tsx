import 'graphiql/setup-workers/vite';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createClient } from 'graphql-ws';
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
// Not graphiql/style.css: it embeds 350 kB of fonts as data: URLs, which our Content-Security-Policy forbids.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import '@graphiql/plugin-explorer/style.css';
import './graphiql.css';
import { ofMachine, ofTab, THEME_KEY, TOKEN_KEY } from '../storage';
import { EXAMPLES } from './examples';

/** The dashboard's session and theme apply here too. */
const token = ofTab.getItem(TOKEN_KEY);
const theme = ofMachine.getItem(THEME_KEY);
/** Close code: the token is wrong, and a retry would not help. */
const FORBIDDEN = 4403;

/** Uses the session's token. A token under Headers takes precedence, for subscriptions too. */
const fetcher: Fetcher = (parameters, options) => {
  const headers = new Headers(token === null ? {} : { authorization: `Bearer ${token}` });
  for (const [name, value] of Object.entries(options?.headers ?? {})) headers.set(name, String(value));
  const given = Object.fromEntries(headers);
  const wsClient = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
    connectionParams: given,
    shouldRetry: (lost) => !(lost instanceof CloseEvent && lost.code === FORBIDDEN),
  });
  return createGraphiQLFetcher({ url: '/graphql', wsClient })(parameters, { ...options, headers: given });
};

/** GraphiQL takes the first tab's query from `defaultTabs`, but its variables only from `initialVariables`. */
const isFirstVisit = ofMachine.getItem('graphiql:tabState') === null;

function Page() {
  return (
    <GraphiQL
      fetcher={fetcher}
      // Undefined makes GraphiQL use the browser's own storage.
      storage={ofMachine instanceof Storage ? undefined : ofMachine}
      plugins={[HISTORY_PLUGIN, explorerPlugin()]}
      defaultTabs={EXAMPLES}
      initialVariables={isFirstVisit ? EXAMPLES[0]?.variables : undefined}
      defaultEditorToolsVisibility="variables"
      forcedTheme={theme === 'light' || theme === 'dark' ? theme : undefined}
    >
      <GraphiQL.Logo>
        <a className="to-dashboard" href="/webhooks">
          Dashboard
        </a>
      </GraphiQL.Logo>
      {token === null && (
        <GraphiQL.Footer>
          <p className="no-token">
            You are not signed in, and the API answers nothing without a token. <a href="/signin">Sign in</a> and come back in this tab, or put{' '}
            <code>{'{"Authorization": "Bearer hl_..."}'}</code> under Headers.
          </p>
        </GraphiQL.Footer>
      )}
    </GraphiQL>
  );
}

const root = document.getElementById('root');
if (root) createRoot(root).render(<Page />);
