import { type ReactNode, useRef } from 'react';
import type { Viewer } from './api';
import { Link, paths, usePath } from './router';
import { signOut } from './session';
import { Icon, type IconName } from './ui/icons';
import { useKeptFocus } from './ui/kept-focus';
import { ThemeButton } from './ui/theme';
import { ROLES } from './words';

const PLACES: readonly (readonly [string, string, IconName])[] = [
  [paths.webhooks, 'Webhooks', 'hook'],
  [paths.deliveries, 'Deliveries', 'deliveries'],
  [paths.posts, 'Posts', 'posts'],
  [paths.accounts, 'Accounts', 'accounts'],
];

function Places() {
  const path = usePath();
  return (
    <ul>
      {PLACES.map(([href, label, icon]) => (
        <li key={href}>
          <Link href={href} className="nav-item" aria-current={path === href ? 'page' : path.startsWith(`${href}/`) ? 'true' : undefined}>
            <Icon name={icon} />
            <span>{label}</span>
          </Link>
        </li>
      ))}
      <li>
        {/* A separate page, so a plain link. It finds the token in this tab's session storage. */}
        <a href={paths.graphiql} className="nav-item">
          <Icon name="code" />
          <span>GraphiQL</span>
        </a>
      </li>
    </ul>
  );
}

export function Shell({ viewer, children }: { viewer: Viewer; children: ReactNode }) {
  const main = useRef<HTMLElement>(null);
  useKeptFocus(main);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <nav className="side" aria-label="Main">
        <div className="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <div>
            <strong>Hookline</strong>
            <span title="Workspace">{viewer.workspace.name}</span>
          </div>
        </div>
        <Places />
        <div className="side-end">
          <ThemeButton />
          <button type="button" className="nav-item" onClick={signOut}>
            <Icon name="out" />
            <span>Sign out</span>
          </button>
          <p className="who">
            <bdi>{viewer.token.name}</bdi> · {ROLES[viewer.token.role]}
          </p>
        </div>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}
