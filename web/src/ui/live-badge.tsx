import { useEffect, useState } from 'react';
import type { LiveState } from '../live';

const SHOWN_MS = 8_000;

/** Says whether the data on the page is current: live, interrupted or recovered. */
export function LiveBadge({ state }: { state: LiveState }) {
  const [news, setNews] = useState<string | null>(null);
  const { phase, recovery, recoveries } = state;
  useEffect(() => {
    if (phase !== 'live' || recovery === null) return;
    setNews(recovery === 'reread' ? 'Connected again; the list was read again' : 'Resumed, nothing was missed');
    const timer = setTimeout(() => setNews(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [phase, recovery, recoveries]);
  const text = phase === 'interrupted' ? 'Disconnected, trying again' : phase === 'connecting' ? 'Connecting' : (news ?? 'Live');
  return (
    <span className={`live live-${phase}`} role="status" data-phase={phase}>
      <span className="live-dot" aria-hidden="true" />
      {text}
    </span>
  );
}
