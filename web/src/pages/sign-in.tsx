import { type FormEvent, useEffect, useRef, useState } from 'react';
import { createApi, isUnauthenticated, sentence } from '../api';
import { ViewerDocument } from '../generated/graphql';
import { navigate, paths } from '../router';
import { CodeRefused, exchangeCode, signIn, signOut } from '../session';
import { Button, Loading, Notice } from '../ui/basics';
import { showFaults, TextField } from '../ui/form';

/** The characters that a header can carry. */
const WRITABLE = /^[!-~]+$/;

function takeCode(): string | null {
  return location.hash.startsWith('#code=') ? location.hash.slice('#code='.length) : null;
}

/** Signs in with the token. Returns the problem, or null if the server accepts it. */
async function tryToken(token: string): Promise<string | null> {
  const result = await createApi(token).query(ViewerDocument, {}).toPromise();
  if (!result.error) {
    signIn(token);
    return null;
  }
  if (isUnauthenticated(result.error)) return 'The server does not know this token, or it has expired or was revoked.';
  return sentence(result.error);
}

function useCode(onProblem: (problem: string) => void): boolean {
  const [busy, setBusy] = useState(() => takeCode() !== null);
  useEffect(() => {
    const code = takeCode();
    if (code === null) return;
    // Remove it from the address first, so that it stays in no history.
    history.replaceState(null, '', paths.signIn);
    signOut();
    exchangeCode(code)
      .then((token) => {
        signIn(token);
        navigate(paths.webhooks, { replace: true });
      })
      .catch((error: unknown) => {
        onProblem(error instanceof CodeRefused ? error.message : 'The server cannot be reached. Check your connection and try again.');
        setBusy(false);
      });
  }, []);
  return busy;
}

export function SignInPage({ refusal }: { refusal: string | null }) {
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const exchanging = useCode(setProblem);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    document.title = 'Sign in · Hookline';
  }, []);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const found = WRITABLE.test(token.trim()) ? await tryToken(token.trim()) : 'Paste a token: it begins with hl_.';
    setBusy(false);
    showFaults(form.current, () => setProblem(found));
  };

  if (exchanging) {
    return (
      <main className="lonely">
        <Loading what="Signing in" />
      </main>
    );
  }
  return (
    <main className="lonely">
      <form className="sign-in" ref={form} onSubmit={(event) => void submit(event)} noValidate>
        <div className="brand">
          <img src="/favicon.svg" alt="" width="36" height="36" />
          <h1>Sign in to Hookline</h1>
        </div>
        {refusal && !problem && <Notice tone="warn" urgent title="You have been signed out">{refusal}</Notice>}
        <TextField
          label="Token"
          name="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          autoFocus
          value={token}
          onChange={(event) => setToken(event.target.value)}
          error={problem ?? undefined}
          hint="It stays in this tab only, and is forgotten when you close it."
        />
        <Button kind="primary" type="submit" busy={busy}>
          Sign in
        </Button>
        <p className="field-hint">
          No token? <code>hookline up</code> prints a link that signs you in; an administrator can make one with <code>hookline token create</code>.
        </p>
      </form>
    </main>
  );
}
