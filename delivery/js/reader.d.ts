import type { ChatEvent } from './presenter.d.ts';

export type ReaderStatus =
  | { state: 'connecting' }
  /** `pinned` is the id of the room's pinned message as of now. Absent: none. Later events change it. */
  | { state: 'live'; pinned?: string }
  /** Not connected. */
  | { state: 'waiting'; reason: string; retryInMs: number }
  /** The server says that a retry is useless, for instance because the token does not show this room. */
  | { state: 'stopped'; reason: string }
  /** After `close()`. */
  | { state: 'closed' };

export interface ReaderOptions {
  /** Address of a delivery node or of the load balancer before them, such as `https://chat.example.com`. */
  url: string;
  /** The room, by its presenter's number. */
  room: number;
  /** Called before every connection. `expired`: the server refused the last token. Rooms that admit anyone need none. */
  getToken?: (options: { expired: boolean }) => string | Promise<string>;
  /** In place of a token: called before every connection, for a new one-use ticket or a long-lived one. */
  getTicket?: () => string | Promise<string>;
  /** Each event of the room, once and in order. */
  onEvent: (event: ChatEvent) => unknown;
  /** Events may be missing before the next one. */
  onGap?: () => unknown;
  onStatus?: (status: ReaderStatus) => unknown;
  /** Where to begin: after this position, such as `reader.position` of an earlier page. */
  position?: string | null;
  /** Where to begin without a position. `window`: with the oldest event that the server holds in memory. */
  from?: 'now' | 'window';
}

export interface Reader {
  readonly status: ReaderStatus;
  /** `onEvent` was called with every event up to here. */
  readonly position: string | null;
  close(): void;
}

/** Reads a room until `close()`, or until the server says that a retry is useless. */
export function readRoom(options: ReaderOptions): Reader;
