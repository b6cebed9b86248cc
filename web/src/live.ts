import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { type Client, createClient } from 'graphql-ws';
import { createContext, useContext, useEffect, useEffectEvent, useState } from 'react';
import { stringifyDocument } from 'urql';
import { REFUSED } from './api';
import { refuse } from './session';

const PING_EVERY_MS = 12_000;
const PONG_WITHIN_MS = 6_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** By then the server has started the subscription, so a read leaves no gap before the first change. */
const SETTLE_MS = 1_000;
/** The server refuses an expired cursor well within this time. Only after it do we know that nothing was missed. */
const CONFIRM_MS = 400;

/** In this file, `document` means a GraphQL document. */
const page = window.document;

export type Phase = 'connecting' | 'live' | 'interrupted';

/** How the stream recovered: it resumed from its cursor and missed nothing, or everything was read again. */
export type Recovery = 'resumed' | 'reread';

export interface LiveState {
  phase: Phase;
  /** null until the first recovery. */
  recovery: Recovery | null;
  /** Counts the recoveries, so that each is announced. */
  recoveries: number;
}

const START: LiveState = { phase: 'connecting', recovery: null, recoveries: 0 };

interface Change {
  cursor: string;
}

/** One socket for all subscriptions of a session. */
export class Socket {
  readonly client: Client;
  open = false;
  private readonly openings = new Set<(open: boolean) => void>();
  private pong: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly token: string) {
    this.client = createClient({
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
      connectionParams: { authorization: `Bearer ${token}` },
      // A feed resumes from its own cursor, which a retry by the library would not know.
      retryAttempts: 0,
      lazyCloseTimeout: 3_000,
      keepAlive: PING_EVERY_MS,
      on: {
        connected: () => this.become(true),
        closed: () => this.become(false),
        ping: (received) => {
          if (!received) this.pong = setTimeout(() => this.client.terminate(), PONG_WITHIN_MS);
        },
        pong: (received) => {
          if (received) clearTimeout(this.pong);
        },
      },
    });
  }

  onOpen(listener: (open: boolean) => void): () => void {
    this.openings.add(listener);
    return () => this.openings.delete(listener);
  }

  private become(open: boolean): void {
    clearTimeout(this.pong);
    this.open = open;
    for (const listener of this.openings) listener(open);
  }
}

export const SocketContext = createContext<Socket | null>(null);

interface Listener<Item> {
  onChange(item: Item): void;
  /** Read again, because changes may have been missed: of anything if `lost`, else only in the moment it began. */
  onGap(lost: boolean): void;
  onState(state: LiveState): void;
}

/** A subscription that outlives its socket: it resumes from the last cursor it saw. */
class Feed<Data, Variables extends object, Item extends Change> {
  private cursor: string | null = null;
  private state: LiveState = START;
  private recovery: Recovery = 'resumed';
  private wait = FIRST_WAIT_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private settle: ReturnType<typeof setTimeout> | undefined;
  private confirm: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;
  private release: (() => void) | undefined;
  private readonly forget: () => void;

  constructor(
    private readonly socket: Socket,
    private readonly document: TypedDocumentNode<Data, Variables & { after?: string | null }>,
    private readonly variables: Variables,
    private readonly pick: (data: Data) => Item,
    private readonly listener: Listener<Item>,
  ) {
    this.forget = socket.onOpen((open) => open && this.opened());
    window.addEventListener('online', this.hurry);
    page.addEventListener('visibilitychange', this.hurry);
    this.subscribe();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    clearTimeout(this.settle);
    clearTimeout(this.confirm);
    window.removeEventListener('online', this.hurry);
    page.removeEventListener('visibilitychange', this.hurry);
    this.forget();
    this.release?.();
  }

  private subscribe(): void {
    if (this.stopped) return;
    this.timer = undefined;
    this.release = this.socket.client.subscribe<Data>(
      {
        query: stringifyDocument(this.document),
        variables: { ...this.variables, after: this.cursor },
      },
      {
        next: (result) => {
          if (result.data) this.take(this.pick(result.data));
          else if (result.errors) this.lost(result.errors);
        },
        error: (error) => this.lost(error),
        complete: () => this.lost(null),
      },
    );
    if (this.socket.open) this.opened();
  }

  private opened(): void {
    if (this.stopped || this.timer !== undefined || this.state.phase === 'live') return;
    const isFirst = this.state.phase === 'connecting';
    if (this.cursor === null) {
      if (!isFirst) this.recovery = 'reread';
      clearTimeout(this.settle);
      this.settle = setTimeout(() => this.listener.onGap(!isFirst), SETTLE_MS);
    }
    if (isFirst) return this.become({ ...this.state, phase: 'live' });
    clearTimeout(this.confirm);
    this.confirm = setTimeout(() => this.recovered(), CONFIRM_MS);
  }

  private recovered(): void {
    this.wait = FIRST_WAIT_MS;
    this.become({ phase: 'live', recovery: this.recovery, recoveries: this.state.recoveries + 1 });
    this.recovery = 'resumed';
  }

  private take(item: Item): void {
    this.cursor = item.cursor;
    this.wait = FIRST_WAIT_MS;
    this.listener.onChange(item);
  }

  private lost(error: unknown): void {
    if (this.stopped) return;
    clearTimeout(this.settle);
    clearTimeout(this.confirm);
    const fault = faultOf(error);
    if (fault?.code === 'UNAUTHENTICATED') return refuse(this.socket.token, REFUSED);
    if (fault?.code === 'CURSOR_EXPIRED' || (fault?.code === 'BAD_USER_INPUT' && this.cursor !== null)) {
      this.cursor = fault.cursor;
      this.recovery = 'reread';
      this.listener.onGap(true);
    }
    if (this.state.phase !== 'interrupted') this.become({ ...this.state, phase: 'interrupted' });
    this.later();
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.subscribe(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
  }

  /** The network or the tab is back, so try again now. */
  private readonly hurry = (): void => {
    if (this.timer === undefined || page.visibilityState === 'hidden') return;
    clearTimeout(this.timer);
    this.subscribe();
  };

  private become(state: LiveState): void {
    this.state = state;
    this.listener.onState(state);
  }
}

interface Fault {
  code: string;
  cursor: string | null;
}

function faultOf(error: unknown): Fault | null {
  if (error instanceof CloseEvent && (error.code === 4401 || error.code === 4403)) return { code: 'UNAUTHENTICATED', cursor: null };
  if (!Array.isArray(error)) return null;
  const extensions: unknown = (error[0] as { extensions?: unknown } | undefined)?.extensions;
  if (typeof extensions !== 'object' || extensions === null || !('code' in extensions)) return null;
  const cursor = 'cursor' in extensions && typeof extensions.cursor === 'string' ? extensions.cursor : null;
  return { code: String(extensions.code), cursor };
}

/** Follows a subscription while the component is mounted, and starts a new one when the variables change. */
export function useFeed<Data, Variables extends object, Item extends Change>(
  document: TypedDocumentNode<Data, Variables & { after?: string | null }>,
  variables: Variables,
  pick: (data: Data) => Item,
  handlers: { onChange(item: Item): void; onGap(lost: boolean): void },
): LiveState {
  const socket = useContext(SocketContext);
  const [state, setState] = useState<LiveState>(START);
  const change = useEffectEvent((item: Item) => handlers.onChange(item));
  const gap = useEffectEvent((lost: boolean) => handlers.onGap(lost));
  const picked = useEffectEvent((data: Data) => pick(data));
  const key = JSON.stringify(variables);
  useEffect(() => {
    if (socket === null) return;
    const parsed = JSON.parse(key) as Variables;
    const feed = new Feed(socket, document, parsed, (data: Data) => picked(data), {
      onChange: (item) => change(item),
      onGap: (lost) => gap(lost),
      onState: setState,
    });
    return () => feed.stop();
  }, [socket, document, key]);
  return state;
}
