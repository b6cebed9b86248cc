import { useState } from 'react';
import { Panel } from '../ui/basics';
import { CodeBlock, Tabs } from '../ui/code';
import { TextField } from '../ui/form';
import { type Example, isSignedWith, LANGUAGES } from './verification';

/** Checks a secret against the signature, in the browser only. Needs a secure context: https, or http to localhost. */
function Check({ example }: { example: Example }) {
  const [secret, setSecret] = useState('');
  const [verdict, setVerdict] = useState<boolean | null>(null);
  const change = (value: string): void => {
    setSecret(value);
    setVerdict(null);
    if (value) void isSignedWith(value, example).then(setVerdict);
  };
  const hint = verdict === null ? 'The secret stays in this page.' : verdict ? 'It matches: this is the secret that signed it.' : 'It does not match: another secret signed it.';
  return (
    <TextField
      label="Try a secret on this signature"
      type="password"
      autoComplete="off"
      value={secret}
      onChange={(event) => change(event.target.value)}
      hint={<span role="status" className={verdict === null ? undefined : verdict ? 'said-good' : 'said-bad'}>{hint}</span>}
    />
  );
}

export function Verification({ example }: { example: Example }) {
  return (
    <Panel title="Verify this signature">
      <p className="muted">
        Each is a whole program with this delivery's body and signature. Run it with <code>WEBHOOK_SECRET</code> set.
      </p>
      <Tabs label="Language" tabs={LANGUAGES.map(({ key, label, code }) => ({ key, label, body: () => <CodeBlock text={code(example)} what={`${label} code`} /> }))} />
      {globalThis.isSecureContext && (
        <div className="try-secret">
          <Check example={example} />
        </div>
      )}
    </Panel>
  );
}
