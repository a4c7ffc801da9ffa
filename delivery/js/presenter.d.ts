/**
 * The types of `presenter.js`, a presenter's client for `chat.v1`. Decisions have `by` (who decided) and `reason` only
 * if the token may read them elsewhere, too. An ordinary presenter sees them in decisions about their own room only.
 */

/**
 * A user's number. The server accepts none above 2^53 - 1. A larger one from an older log comes as a string, so that no
 * two users look the same.
 */
export type UserIdx = number | string;

/** The author of a message, or a moderator. */
export interface User {
  idx: UserIdx;
  nickname: string;
  role: 'presenter' | 'moderator' | 'viewer';
}

interface EventBase {
  /** The event's position. Opaque: compare for equality, store, and send back. */
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
  /** Absent: the event is of every room. */
  presenterIdx?: UserIdx;
}

export interface MessagePosted extends RoomEvent {
  type: 'message.posted';
  user: User;
  /** Absent if the message was deleted before delivery. */
  text?: string;
  flags?: string[];
  /** The `id` of the message that this one answers. It may not exist. */
  replyTo?: string;
  /** What the platform says about the message or its author, such as badges or a colour. */
  attributes?: Record<string, unknown>;
  /** Which parts of the text are emotes, in its order. */
  emotes?: Emote[];
  deleted?: true;
}

/** A part of a message's text that pages show as a picture: `[...text].slice(start, end).join('')`. */
export interface Emote {
  /** The platform's id of the emote. */
  id: string;
  /** In code points, from 0. */
  start: number;
  /** The first code point behind it. */
  end: number;
}

/** A notice of a moderator or the presenter to everybody in the room. Deleted and restored as a message is. */
export interface NoticePosted extends RoomEvent {
  type: 'notice.posted';
  user: User;
  /** Absent if the notice was deleted before delivery. */
  text?: string;
  deleted?: true;
}

/** The message with the `id` `target` is pinned, in place of another. A deletion of it, or a clear of the room, unpins it. */
export interface MessagePinned extends RoomEvent {
  type: 'message.pinned';
  target: string;
  by?: User;
}

/** The message with the `id` `target` is not pinned any more. */
export interface MessageUnpinned extends RoomEvent {
  type: 'message.unpinned';
  target: string;
  by?: User;
}

export interface MessageDeleted extends RoomEvent {
  type: 'message.deleted';
  /** The `id` of the message. */
  target: string;
  /** The `id` of the sweep that deletes it, among others. */
  sweep?: string;
  by?: User;
  reason?: string;
}

/** Show the message again: its deletion is undone. */
export interface MessageRestored extends RoomEvent {
  type: 'message.restored';
  /** The `id` of the message. */
  target: string;
  /** The message. Absent if the server does not hold it any more, or it was deleted again. */
  message?: MessagePosted;
  /** The `id` of the sweep whose end restores it. */
  sweep?: string;
  by?: User;
  reason?: string;
}

/** Hide every earlier message. */
export interface RoomCleared extends RoomEvent {
  type: 'room.cleared';
  by?: User;
  reason?: string;
}

/** A sweep. The deletions of its messages precede it: nothing is left to do. */
export interface RoomSwept extends RoomEvent {
  type: 'room.swept';
  secondsBack: number;
  /** What becomes of later posts of viewers that match, and until when. */
  forward?: 'refuse' | 'hold';
  forwardUntil?: string;
  by?: User;
  reason?: string;
}

/** The end of the sweep with the `id` `target`. The restorations of its messages precede it. */
export interface SweepUndone extends RoomEvent {
  type: 'sweep.undone';
  target: string;
  by?: User;
  reason?: string;
}

/** The user cannot post in this room. Without `presenterIdx`: in any room but their own. */
export interface UserBanned extends RoomOrPlatformEvent {
  type: 'user.banned';
  user: UserIdx;
  /** RFC 3339. Absent: permanent. */
  until?: string;
  /** Hide earlier messages of the user that were sent (`at`) at most so many seconds before the ban's `at`. */
  purgeSeconds?: number;
  by?: User;
  reason?: string;
}

/** The end of a ban: in this room, or without `presenterIdx` in every room. The other ban may still apply. */
export interface UserUnbanned extends RoomOrPlatformEvent {
  type: 'user.unbanned';
  user: UserIdx;
  by?: User;
  reason?: string;
}

/** The user is a moderator of this room. Not for viewers: `relay.js` does not forward it. */
export interface ModeratorAdded extends RoomEvent {
  type: 'moderator.added';
  user: UserIdx;
  by?: User;
  reason?: string;
}

/** The user is no longer a moderator of this room. A `user.banned` of the room ends the role too. Not for viewers. */
export interface ModeratorRemoved extends RoomEvent {
  type: 'moderator.removed';
  user: UserIdx;
  by?: User;
  reason?: string;
}

/** Not for viewers: the settings may contain the room's own words. `relay.js` does not forward it. */
export interface RoomUpdated extends RoomEvent {
  type: 'room.updated';
  /** Every setting that differs from the deployment's default, by name. */
  settings: Record<string, unknown>;
  /** The settings that this decision changed, including those reset to the default. Absent: all. */
  changed?: string[];
  /** When temporary settings expire: RFC 3339. */
  until?: Record<string, string>;
  by?: User;
  reason?: string;
}

/** Hide every earlier message of the user, in every room and in every buffer. */
export interface UserErased extends EventBase {
  type: 'user.erased';
  user: UserIdx;
  /** What happens to the archived messages. Does not matter for display. */
  mode?: 'remove' | 'anonymise';
  by?: User;
}

/** An event of the room. Ignore types that are not listed here: later servers may send them. */
export type ChatEvent =
  | MessagePosted
  | NoticePosted
  | MessagePinned
  | MessageUnpinned
  | MessageDeleted
  | MessageRestored
  | RoomCleared
  | RoomSwept
  | SweepUndone
  | UserBanned
  | UserUnbanned
  | ModeratorAdded
  | ModeratorRemoved
  | RoomUpdated
  | UserErased;

/** Events between `after` and `resumedAt` may be missing: the server no longer has the events after `after`. */
export interface Gap {
  /** Every event up to here was taken before the gap. */
  after: string | null;
  /** The events after this position follow. */
  resumedAt: string | null;
}

export type Status =
  | { state: 'connecting' }
  /** `pinned` is the id of the room's pinned message as of now. Absent: none. Later events change it. */
  | { state: 'live'; pinned?: string }
  /** Not connected. `code` is the close code, if the server closed the connection. */
  | { state: 'waiting'; reason: string; code?: number; retryInMs?: number }
  /** The server says that a retry is useless: for instance 4001, invalid token, or 4002, replaced by a newer session. */
  | { state: 'stopped'; code: number; reason: string }
  /** After `close()`. */
  | { state: 'closed' };

export interface PresenterOptions {
  /** For example `wss://chat.example.com/v1/presenter`. */
  url: string | URL;
  /**
   * Returns the presenter's token. Called before every connection, so cache the token, and again before the token of
   * the live connection expires. `expired`: the server refused the last token as expired, or will soon. If the function
   * throws, returns something that cannot be a token, or has not settled within 30 s, it is called again later. A late
   * token is used if no other came. Check `response.ok` here: an error page is not a token.
   */
  getToken(hint: { expired: boolean }): string | Promise<string>;
  /**
   * Takes the events, each once and in order. If it returns a promise, the next event comes, and this one is
   * acknowledged, once the promise settles. An error is reported as uncaught (`reportError`, or else `console.error`),
   * and the event counts as taken. So does an event whose promise has not settled within 30 s.
   */
  onEvent(event: ChatEvent): unknown;
  /** Called at every change. An error here, as in every other callback, is reported and has no other effect. */
  onStatus?(status: Status): void;
  /** Called once per gap, in its place among the events. */
  onGap?(gap: Gap): unknown;
  /**
   * Stores the position beyond the page, at most once a second, for instance in `sessionStorage`. Without it a reloaded
   * page resumes after the last acknowledged event. Use one key per room: positions of different rooms do not mix. A
   * failure to store is reported, and the chat continues.
   */
  storage?: { load(): string | null; save(position: string): void };
}

export interface Presenter {
  readonly status: Status;
  /** `onEvent` has taken every event up to here. In a quiet room it advances, too. */
  readonly position: string | null;
  /** Waits at most 30 s for the current `onEvent` (so do not await `close()` in it), acknowledges, and closes. */
  close(): Promise<void>;
}

/** Connects, and reconnects until `close()`, or until the server says that a retry is useless. */
export function connectPresenter(options: PresenterOptions): Presenter;
