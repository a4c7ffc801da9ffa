/** What calls take and return, as the server's JSON has it. Times are RFC 3339 in UTC with milliseconds. */

import type { Code } from './codes.d.ts';

/** A user's number. One above 2^53 - 1, from an older log, comes as a string, so that no two users look the same. */
export type UserIdx = number | string;

export interface User {
  idx: UserIdx;
  nickname: string;
  role: 'presenter' | 'moderator' | 'viewer';
}

/** A `Date`, or RFC 3339. */
export type Time = Date | string;

export interface CallOptions {
  signal?: AbortSignal;
}

export interface ListOptions extends CallOptions {
  /** Entries of a request, 1 to 1,000. */
  pageSize?: number;
}

export type Outcome = 'not_stored' | 'unknown';

export interface ErrorDetails {
  /** The HTTP status of the last answer. */
  status?: number;
  /** The error, for programs. A later server may have more codes. */
  code?: Code | (string & {});
  /** The server asks to wait for so long before the next attempt. */
  retryAfterMs?: number;
  /** Of a post or a decision: `unknown` if an attempt may have taken effect. `lookUp` tells later. */
  outcome?: Outcome;
  /** The key of the post or the decision. A further attempt under it cannot store a second one. */
  idempotencyKey?: string;
  /** The whole body of the answer, such as `until` of a ban. */
  problem?: Record<string, unknown>;
}

/** A decision that is in the log. The position is its place in the room's order: opaque. */
export interface Decided {
  id: string;
  position: string;
}

/** What a moderator of the room tells the author of a message. Several answers may carry the same one, by its id. */
export interface AuthorWarning {
  id: string;
  at: string;
  reason: string;
}

/** A message that is in the log. */
export interface Accepted extends Decided {
  /** Absent if an earlier attempt had stored the message, and its answer was lost. */
  presenter?: 'connected' | 'reconnecting';
  /** It waits for a moderator, and the position is that of its hold. */
  held?: true;
  /** Show it to the author. A refusal has it in its `problem`. */
  warning?: AuthorWarning;
}

export interface PostOptions extends CallOptions {
  /** 1 to 255 visible ASCII characters. Default: a new UUID. */
  idempotencyKey?: string;
}

export interface MessageOptions extends PostOptions {
  /** The id of the message that this one answers. */
  replyTo?: string;
  /** With the scope `chat:attributes` only. */
  attributes?: Record<string, unknown>;
  /** With that scope, or if the token names them. */
  emotes?: Emote[];
}

export interface DecisionOptions extends PostOptions {
  reason?: string;
}

export interface BanOptions extends DecisionOptions {
  /** 1 to 1,209,600 (14 days). Without it: for good. */
  seconds?: number;
}

export interface RoomBanOptions extends BanOptions {
  /** 1 to 3,600: the ban also deletes what the user wrote in the room in this time before. */
  purgeSeconds?: number;
}

/** Which messages a sweep deletes: those that meet every condition. Without `users`, only viewers' messages. */
export interface SweepRule {
  /** The text is one of these 1 to 16, whatever the case. */
  texts?: string[];
  /** 0.5 to 1, with `texts`: how similar the text has to be to one of them. Without it, equal. */
  similarity?: number;
  /** The author is one of these 1 to 1,000. */
  users?: UserIdx[];
  /** 1 to 3,600: the author is a viewer whose first message in the room is at most so many seconds old. */
  firstSeenSeconds?: number;
  /** The message has this flag. */
  label?: string;
}

export interface SweepOptions extends DecisionOptions {
  /** 1 to 3,600. */
  secondsBack: number;
  /** 1 to 600: viewers' posts that match are refused or held for so many seconds from now on. */
  secondsForward?: number;
  /** With `secondsForward`. Without it, `refuse`. */
  forward?: 'refuse' | 'hold';
}

/** The users that `firstSeenSeconds` was resolved into. */
export interface FirstSeen {
  users: number;
  /** From then on, none of them wrote anything in the room before their first message. */
  since: string;
  /** False: there are more than 1,000, and these came last. */
  complete: boolean;
}

export interface Swept extends Decided {
  /** With `firstSeenSeconds`, but not in the answer to a retry. */
  firstSeen?: FirstSeen;
}

/** What a sweep would delete. */
export interface SweepPreview {
  messages: number;
  users: number;
  /** False: the time has too many events to read, and the sweep would delete more. */
  complete: boolean;
  /** The latest 100, the latest first. */
  latest: { id: string; at: string; user: User; text: string }[];
  /** The 100 users with the most of the messages. */
  authors: { user: User; messages: number }[];
  /** With `firstSeenSeconds`. */
  firstSeen?: FirstSeen;
}

/** A sweep that can be undone. */
export interface Sweep {
  id: string;
  at: string;
  rule: SweepRule;
  secondsBack: number;
  /** What becomes of later posts of viewers that match, and until when. */
  forward?: 'refuse' | 'hold';
  forwardUntil?: string;
  undoableUntil: string;
  by: User;
  reason?: string;
}

export interface Ban {
  user: UserIdx;
  at: string;
  /** Absent: permanent. */
  until?: string;
  by: User;
  reason?: string;
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

/** A message that waits for a moderator. */
export interface Held {
  id: string;
  position: string;
  at: string;
  /** When it is denied by itself. */
  until: string;
  user: User;
  text: string;
  flags?: string[];
  replyTo?: string;
  attributes?: Record<string, unknown>;
  emotes?: Emote[];
}

export interface Moderator {
  user: UserIdx;
  at: string;
  by: User;
  reason?: string;
}

/** A warning of a user. */
export interface Warned extends AuthorWarning {
  user: UserIdx;
  /** When an answer to the user carried it. Absent: none has yet. */
  sentAt?: string;
  by: User;
}

/** A note on a user, for the moderators of a room. */
export interface Note {
  id: string;
  at: string;
  by: User;
  text: string;
}

export interface Pin {
  messageId: string;
  at: string;
  by: User;
}

export interface RoomSettings {
  slowModeSeconds: number;
  uniqueChat: boolean;
  presenterOnly: boolean;
  emojiOnly: boolean;
  links: 'everyone' | 'trusted';
  wordPolicy: 'off' | 'flag' | 'mask' | 'hold' | 'reject';
  words: string[];
  maxLength: number;
  messageRate: { messages: number; seconds: number };
  readers: 'off' | 'members' | 'anyone';
}

/** Settings to change. Null: the deployment's default. */
export type SettingsChange = { [Name in keyof RoomSettings]?: RoomSettings[Name] | null };

export interface Settings {
  /** In effect. */
  settings: RoomSettings;
  /** Those that the room has set itself. */
  own: Partial<RoomSettings>;
  /** When temporary ones end. */
  until: Partial<Record<keyof RoomSettings, string>>;
}

export interface ForwardedIdentity {
  idx: number;
  email: string;
  nickname: string;
  /** Separated by blanks, such as `chat:moderate`. */
  scope?: string;
}

export interface Deletion {
  decision: string;
  at: string;
  by: User;
  reason?: string;
}

/** An archived message. Times are RFC 3339 in UTC with milliseconds. */
export interface Message {
  id: string;
  position: string;
  presenterIdx: UserIdx;
  user: User;
  /** Absent if it was deleted and its text is not kept any more. */
  text?: string;
  sentAt: string;
  flags: string[];
  /** The id of the message that this one answers. It may not exist. */
  replyTo?: string;
  /** What the platform says about the message or its author. */
  attributes?: Record<string, unknown>;
  /** Which parts of the text are emotes, in its order. */
  emotes?: Emote[];
  /** It is a notice, which a moderator posted to everybody in the room. */
  notice?: true;
  /** Only with `deleted` or `decision` in the search. */
  deleted?: Deletion;
}

export interface ReplayMessage extends Message {
  /** Milliseconds into the recording. It never decreases from one message to the next. */
  offsetMs: number;
}

export interface Span {
  /** Included. */
  from?: Time;
  /** Not included. */
  to?: Time;
}

export interface ExportSearch extends Span, CallOptions {
  /** A room, in its order. Without it `user` is required. */
  room?: number;
  /** Messages of this user: in the room, or without it in every room by time. */
  user?: number;
  /** Contained literally, whatever its case and width. */
  text?: string;
  /** A label of the word filter. */
  flag?: string;
  /** An attribute and its value: `color:#00C853`. */
  attribute?: string;
  /** The id of an emote in the text. */
  emote?: string;
  deleted?: 'include' | 'only';
  /** The id of the decision that deleted the messages. */
  decision?: string;
}

export interface Search extends ExportSearch, ListOptions {
  order?: 'asc' | 'desc';
}

export interface FileSearch extends ExportSearch {
  order?: 'asc' | 'desc';
  /** Default: `ndjson`. */
  format?: 'ndjson' | 'csv';
  /** Of CSV: a byte order mark, for Excel. */
  bom?: boolean;
  separator?: 'comma' | 'semicolon';
}

/** What a report says is wrong with a message. */
export type ReportCategory =
  | 'spam'
  | 'scam'
  | 'harassment'
  | 'hate'
  | 'sexual'
  | 'violence'
  | 'self_harm'
  | 'privacy'
  | 'other';

/** A message that users reported. */
export interface ReportedMessage {
  message: Message;
  state: 'open' | 'closed';
  /** How many users reported it. */
  count: number;
  firstAt: string;
  lastAt: string;
  /** How many users gave each category. */
  categories: Record<string, number>;
  /** The latest 20, the latest first. */
  reports: { id: string; at: string; by?: User; category: string; reason?: string }[];
  /** The decision that closed the reports. */
  closed?: { decision: string; type: string; at: string; by?: User; reason?: string };
}

/** Where a message is, as far as it is known. */
export interface Trace {
  id: string;
  presenterIdx: UserIdx;
  /**
   * `storedAt`: the fsync of the log. Absent once the log no longer has the message. `node`: for the scopes
   * `chat:read` and `chat:moderate`, the node of ingest that accepted it.
   */
  accepted: { position: string; sentAt: string; storedAt?: string; node?: string };
  /** `acknowledged` only if the presenter's page acknowledged. `position` and `savedAt` are of the saved cursor. */
  presenter: { state: 'acknowledged' | 'written' | 'not_yet' | 'unknown'; position?: string; savedAt?: string };
  archived: { state: 'archived' | 'not_yet'; at?: string };
  /** The deletion that hides it now. `decision`: for moderators. */
  deleted?: { at: string; decision?: string };
  /** For moderators: the decisions about it. */
  decisions?: { id: string; type: string; at: string; by?: User; reason?: string }[];
}

/** Events that left the log before they were archived. */
export interface Gap {
  batches: number;
  after?: string;
  before?: string;
  stream?: string;
  noticedAt?: string;
}

/** The messages of an export, each once, across broken connections. Iterate it once. */

export interface ExportFile {
  /** The file is complete only if the stream ends without an error. */
  body: ReadableStream<Uint8Array>;
  gaps: Gap[];
}

export interface ReplaySearch extends ListOptions {
  /** Milliseconds into the recording, or `01:02:03`. */
  from?: number | string;
  timeline?: 'segments' | 'wall';
}

export interface BroadcastFile extends CallOptions {
  format?: 'ndjson' | 'twitchdownloader' | 'webvtt';
  timeline?: 'segments' | 'wall';
}

export interface Broadcast {
  id: string;
  startedAt: string;
  endedAt?: string | null;
  durationMs?: number | null;
  segments: { startedAt: string; endedAt?: string | null; offsetMs: number }[];
  messages: number;
  /** Of a single broadcast: how many people wrote. */
  chatters?: number;
  /** Of a single broadcast, for moderators. */
  deleted?: number;
}

/** A time span of at most 31 days. */
export interface Measured extends CallOptions {
  from: Time;
  to: Time;
}

export interface Buckets extends Measured {
  bucketSeconds?: number;
}

export interface Most extends Measured {
  /** How many entries. */
  first?: number;
}

export interface Statistics {
  from: string;
  to: string;
  messages: number;
  chatters: number;
  newChatters: number;
  buckets: { at: string; messages: number; chatters: number; newChatters: number }[];
}

export interface Chatter {
  user: User;
  messages: number;
  firstAt: string;
  lastAt: string;
}

export interface Word {
  word: string;
  messages: number;
  uses: number;
}

export interface Highlight {
  at: string;
  until: string;
  messages: number;
  peakAt: string;
  chatters: number;
  chattersBefore: number;
  score: number;
  samples: Message[];
}

export interface AuditSearch extends Span, ListOptions {
  /** Without it: all rooms, with the scope `chat:moderate`. */
  room?: number;
  type?: string;
  /** Whom the decision is about. */
  user?: number;
  /** Who decided. */
  by?: number;
  order?: 'asc' | 'desc';
}

export interface Decision {
  id: string;
  type: string;
  presenterIdx?: UserIdx;
  at: string;
  by?: User;
  reason?: string;
  target?: string;
  message?: Message;
  /** How many users had reported the message before. */
  reports?: number;
  user?: UserIdx;
  until?: string;
  /** The ban deleted the user's messages in the room that were sent from then on. */
  purgeFrom?: string;
  /** The sweep deleted messages that were sent from then on. */
  sweptFrom?: string;
  /** What became of later posts of viewers that match the sweep, and until when. */
  forward?: 'refuse' | 'hold';
  forwardUntil?: string;
  settings?: Partial<RoomSettings>;
  settingsChanged?: string[];
  settingsUntil?: Record<string, string>;
}

export interface Receipt {
  erasure: string;
  userIdx: UserIdx;
  mode: 'remove' | 'anonymise';
  /** `running`: `erasures` tells when it is done. */
  state: 'running' | 'done';
  at: string;
  by: User;
  finishedAt?: string;
  erased: Record<string, number>;
  logHeldUntil?: string;
  keptUntil?: string;
  stays: { code: string; detail: string }[];
}
