/**
 * The types of `presenter.js`: a presenter's end of `chat.v1`. Who decided (`by`) and why (`reason`) come only where the token
 * may read that elsewhere, too: an ordinary presenter gets them of the own room's decisions, and of no other.
 */

/**
 * A user's number. The server accepts none above 2^53 - 1. One that an older log holds comes as text, so that no two users
 * are the same in a page.
 */
export type UserIdx = number | string;

/** Who wrote a message, or moderated. */
export interface User {
  idx: UserIdx;
  nickname: string;
  role: 'presenter' | 'moderator' | 'viewer';
}

interface EventBase {
  /** Where the event stands. Opaque: compare for equality, keep, hand back. */
  position: string;
  v: number;
  id: string;
  /** RFC 3339, UTC, with milliseconds. */
  at: string;
}

interface RoomEvent extends EventBase {
  presenterIdx: UserIdx;
}

/** An event of this room, or of every room of the platform. */
interface RoomOrPlatformEvent extends EventBase {
  /** Absent: it is of every room. */
  presenterIdx?: UserIdx;
}

export interface MessagePosted extends RoomEvent {
  type: 'message.posted';
  user: User;
  /** Absent if the message was deleted before it was sent. */
  text?: string;
  flags?: string[];
  deleted?: true;
}

export interface MessageDeleted extends RoomEvent {
  type: 'message.deleted';
  /** The `id` of the message. */
  target: string;
  by?: User;
  reason?: string;
}

/** Everything before it is not to be shown any more. */
export interface RoomCleared extends RoomEvent {
  type: 'room.cleared';
  by?: User;
  reason?: string;
}

/** The user may not write in this room; without `presenterIdx`: in no room but the own. */
export interface UserBanned extends RoomOrPlatformEvent {
  type: 'user.banned';
  user: UserIdx;
  /** RFC 3339; absent: for good. */
  until?: string;
  by?: User;
  reason?: string;
}

/** The end of a ban: in this room, or of the one in every room. The other one may stand. */
export interface UserUnbanned extends RoomOrPlatformEvent {
  type: 'user.unbanned';
  user: UserIdx;
  by?: User;
  reason?: string;
}

/** Not for viewers: the settings may hold a room's own words. `relay.js` does not pass it on. */
export interface RoomUpdated extends RoomEvent {
  type: 'room.updated';
  /** Every setting that is not the deployment's, by name. */
  settings: Record<string, unknown>;
  /** Which of them this decision was about, those included that are the deployment's again. Absent: all. */
  changed?: string[];
  /** Of those that end by themselves, when: RFC 3339. */
  until?: Record<string, string>;
  by?: User;
  reason?: string;
}

/** Nothing that the user wrote before is to be shown any more, in any room, whoever keeps it. */
export interface UserErased extends EventBase {
  type: 'user.erased';
  user: UserIdx;
  /** What becomes of the archived messages; no matter to who shows them. */
  mode?: 'remove' | 'anonymise';
  by?: User;
}

/** An event of the room. Later servers may send types that are not listed here: ignore them. */
export type ChatEvent =
  MessagePosted | MessageDeleted | RoomCleared | UserBanned | UserUnbanned | RoomUpdated | UserErased;

/** Events between `after` and `resumedAt` may be missing: the server does not know the first place any more. */
export interface Gap {
  /** Up to here everything was taken before it. */
  after: string | null;
  /** What follows are the events after this. */
  resumedAt: string | null;
}

export type Status =
  | { state: 'connecting' }
  | { state: 'live' }
  /** Not connected at the moment. `code` is the close code, if a connection was closed. */
  | { state: 'waiting'; reason: string; code?: number; retryInMs?: number }
  /** The server said that trying again is no use, such as 4001, a bad token, or 4002, replaced by a newer session. */
  | { state: 'stopped'; code: number; reason: string }
  /** After `close()`. */
  | { state: 'closed' };

export interface PresenterOptions {
  /** Such as `wss://chat.example.com/v1/presenter`. */
  url: string | URL;
  /**
   * Returns the presenter's token. Called before every connection, so a cache is in its place here, and before the token of
   * the one that stands expires; `expired` says that the last one is of no use any more, or soon: the server refused it for
   * its age, or is about to. If it throws, gives what cannot be a token, or has not settled within 30 s,
   * it is called again later; an answer that is late is used if no other came. Look at `response.ok` in here: an error page is no token.
   */
  getToken(hint: { expired: boolean }): string | Promise<string>;
  /**
   * Takes an event, each once and in order. The next comes when a returned promise is settled, and only then is the event
   * acknowledged. An error is reported as uncaught (`reportError`, or else `console.error`), and the event counts as taken;
   * so does one whose promise has not settled within 30 s.
   */
  onEvent(event: ChatEvent): unknown;
  /** Called at every change. An error in here, as in every other function of the page, is reported and changes nothing. */
  onStatus?(status: Status): void;
  /** Called in its place among the events, once a gap. */
  onGap?(gap: Gap): unknown;
  /**
   * Keeps the position beyond the page, at most once a second, for instance in `sessionStorage`. Without it a page that is
   * loaded anew goes on after the last event that was acknowledged. One key a room: the position of another room is none of
   * this one's. What cannot be stored is reported, and the chat goes on.
   */
  storage?: { load(): string | null; save(position: string): void };
}

export interface Presenter {
  readonly status: Status;
  /** Up to here `onEvent` has taken everything. In a quiet room it moves all the same. */
  readonly position: string | null;
  /** Waits for the event that `onEvent` has in hand (so do not await it in there), for 30 s at most, acknowledges it, and closes. */
  close(): Promise<void>;
}

/** Connects, and stays connected until `close()`, or until the server says that it is no use. */
export function connectPresenter(options: PresenterOptions): Presenter;
