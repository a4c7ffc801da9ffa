/** The HTTP API for gateways, bots and tools: ingest and the archive, in Node.js 20, browsers and Deno. */

import type { Code } from './codes.d.ts';
import type {
  Accepted,
  AuditSearch,
  Ban,
  BanOptions,
  Broadcast,
  BroadcastFile,
  Buckets,
  CallOptions,
  Chatter,
  Decided,
  Decision,
  DecisionOptions,
  ErrorDetails,
  ExportFile,
  ExportSearch,
  FileSearch,
  ForwardedIdentity,
  Gap,
  Highlight,
  ListOptions,
  Message,
  MessageOptions,
  Moderator,
  Most,
  Note,
  Outcome,
  Pin,
  PostOptions,
  Receipt,
  ReplayMessage,
  ReplaySearch,
  RoomBanOptions,
  Search,
  Settings,
  SettingsChange,
  Span,
  Statistics,
  Sweep,
  SweepOptions,
  SweepPreview,
  SweepRule,
  Swept,
  Warned,
  Word,
} from './types.d.ts';

export type * from './codes.d.ts';
export type * from './types.d.ts';

/**
 * A token, a function that returns one, or a user for whom a gateway vouches. The function is called before every
 * request, so it caches the token. `expired`: the server refused the last one.
 */
export type Token = string | ((hint: { expired: boolean }) => string | Promise<string>) | ForwardedUser;

export interface RoleOptions {
  /** The role's address, such as `https://chat.example.com`. */
  url: string;
  token?: Token;
  /** How long a call without an answer, or with a 5xx, is tried again. Default: 60,000. At most 540,000. */
  patienceMs?: number;
  /** Also wait and try again after a 429: for bots. */
  retryRateLimits?: boolean;
  /** Called before a request is sent again. */
  onRetry?(error: ChattingError, waitMs: number): unknown;
  /** In place of the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** A user for whom a gateway vouches: signs each request. */
export interface ForwardedUser {
  headers(method: string, url: string, body?: string): Promise<Record<string, string>>;
}

/** The messages of an export, each once, across broken connections. Iterate it once. */
export interface Export extends AsyncIterable<Message> {
  /** What the archive misses of the time span, known after the first message. */
  readonly gaps: Gap[];
}

/** A call failed. */
export class ChattingError extends Error implements ErrorDetails {
  constructor(detail: string, details?: ErrorDetails, options?: ErrorOptions);
  /** For people. May change. */
  detail: string;
  status?: number;
  code?: Code | (string & {});
  retryAfterMs?: number;
  outcome?: Outcome;
  idempotencyKey?: string;
  problem: Record<string, unknown>;
}

/** The server refused the request. The same request gets the same answer. */
export class Refused extends ChattingError {}

/** Too much in a short time (429). The request is possible again after `retryAfterMs`. */
export class RateLimited extends Refused {}

/** No answer, or answers that say to come again, for as long as `patienceMs`. */
export class Unavailable extends ChattingError {}

/**
 * Posts and decides as the token's user. Every post and every decision has an `Idempotency-Key` and is retried under it:
 * it takes effect once. A result means that it is in the log, fsynced. Throws `RateLimited`, `Refused` or `Unavailable`.
 */
export class Ingest {
  constructor(options: RoleOptions);
  /** The same for another user: a gateway makes one for each request. */
  withToken(token: Token): Ingest;
  /** Posts a message of 1 to 500 characters to a room. A room has its presenter's number. */
  post(room: number, text: string, options?: MessageOptions): Promise<Accepted>;
  /** What became of a request about a room. Null: it is not in the log and never will be. It can take 5 s. */
  lookUp(room: number, idempotencyKey: string, options?: CallOptions): Promise<Decided | null>;
  /** The same for a decision about every room. */
  lookUpEverywhere(idempotencyKey: string, options?: CallOptions): Promise<Decided | null>;
  /** Deletes a message by its id. Ingest does not check whether there is one. */
  deleteMessage(room: number, messageId: string, options?: DecisionOptions): Promise<Decided>;
  /** Undoes the deletion of a message. Throws `Refused` with the code `not_deleted` if it was undone already. */
  restoreMessage(room: number, messageId: string, options?: DecisionOptions): Promise<Decided>;
  /** The messages of a room that wait for a moderator, the oldest first. */
  holds(room: number, options?: ListOptions): AsyncGenerator<Held, void>;
  /** Lets a held message into the room. Throws `Refused` with the code `already_denied` or `not_held`. */
  release(room: number, messageId: string, options?: DecisionOptions): Promise<Decided>;
  /** Keeps a held message out of the room. Throws `Refused` with the code `already_released` or `not_held`. */
  deny(room: number, messageId: string, options?: DecisionOptions): Promise<Decided>;
  /** Posts a notice to everybody in the room. It is deleted and restored as a message is. */
  postNotice(room: number, text: string, options?: PostOptions): Promise<Decided>;
  /** Pins a message by its id, in place of the room's pinned message. A deletion of the message unpins it. */
  pin(room: number, messageId: string, options?: PostOptions): Promise<Decided>;
  /** Throws `Refused` with the code `not_pinned` if the room has no pinned message. */
  unpin(room: number, options?: PostOptions): Promise<Decided>;
  getPin(room: number, options?: CallOptions): Promise<Pin | null>;
  /** Reports a message to the room's moderators, once: another report by this user gets the answer of the first. */
  report(
    room: number,
    messageId: string,
    category: ReportCategory,
    options?: { reason?: string } & CallOptions,
  ): Promise<Decided>;
  /** Closes the reports of a message so far. A later one opens them again. */
  closeReports(room: number, messageId: string, options?: DecisionOptions): Promise<Decided>;
  /** Deletes every message of the room so far. */
  clear(room: number, options?: DecisionOptions): Promise<Decided>;
  /** Deletes what a raid wrote: the messages of the last `secondsBack` seconds that match the rule. One decision. */
  sweep(room: number, rule: SweepRule, options: SweepOptions): Promise<Swept>;
  /** What a sweep would delete now. Nothing is deleted. */
  previewSweep(room: number, rule: SweepRule, options: { secondsBack: number } & CallOptions): Promise<SweepPreview>;
  /** Shows again exactly what a sweep deleted. Throws `Refused` with the code `not_swept` if it cannot be undone. */
  undoSweep(room: number, sweepId: string, options?: DecisionOptions): Promise<Decided>;
  /** The sweeps of a room that can be undone, the latest first. */
  sweeps(room: number, options?: CallOptions): Promise<Sweep[]>;
  /** Keeps a user from posting in a room. */
  ban(room: number, user: number, options?: RoomBanOptions): Promise<Decided>;
  /** Throws `Refused` with the code `not_banned` if there is no ban. */
  unban(room: number, user: number, options?: DecisionOptions): Promise<Decided>;
  bans(room: number, options?: ListOptions): AsyncGenerator<Ban, void>;
  getBan(room: number, user: number, options?: CallOptions): Promise<Ban | null>;
  /** Keeps a user from posting in every room. Needs the scope `chat:moderate`, as the next three do. */
  banEverywhere(user: number, options?: BanOptions): Promise<Decided>;
  unbanEverywhere(user: number, options?: DecisionOptions): Promise<Decided>;
  bansEverywhere(options?: ListOptions): AsyncGenerator<Ban, void>;
  getBanEverywhere(user: number, options?: CallOptions): Promise<Ban | null>;
  /** Makes a user a moderator of a room. The room's presenter may, and the scope `chat:moderate`. */
  addModerator(room: number, user: number, options?: DecisionOptions): Promise<Decided>;
  removeModerator(room: number, user: number, options?: DecisionOptions): Promise<Decided>;
  moderators(room: number, options?: ListOptions): AsyncGenerator<Moderator, void>;
  getModerator(room: number, user: number, options?: CallOptions): Promise<Moderator | null>;
  /** Tells a user `reason` in the answer to one of their next posts to the room. */
  warn(room: number, user: number, reason: string, options?: PostOptions): Promise<Decided>;
  /** Throws `Refused` with the code `not_warned` if there is no warning. */
  withdrawWarning(room: number, user: number, options?: DecisionOptions): Promise<Decided>;
  warnings(room: number, options?: ListOptions): AsyncGenerator<Warned, void>;
  getWarning(room: number, user: number, options?: CallOptions): Promise<Warned | null>;
  /** Writes a note on a user, for the moderators of the room. Its id is that of the decision. */
  addNote(room: number, user: number, text: string, options?: PostOptions): Promise<Decided>;
  /** Throws `Refused` with the code `note_not_found` if there is no such note. */
  deleteNote(room: number, user: number, noteId: string, options?: DecisionOptions): Promise<Decided>;
  /** The notes on a user, the oldest first. */
  notes(room: number, user: number, options?: CallOptions): Promise<Note[]>;
  getSettings(room: number, options?: CallOptions): Promise<Settings>;
  /** With `seconds` the named settings end by themselves, and the default applies again. */
  changeSettings(room: number, settings: SettingsChange, options?: BanOptions): Promise<Decided>;
}

/** A gateway that has verified its users. Ingest honours it with `ingest.gateway.mode = "signature"`. */
export class Gateway {
  /** `secret`: `ingest.gateway.secret`. */
  constructor(secret: string);
  user(identity: ForwardedIdentity): ForwardedUser;
}

/** Reads the archive as the token's user. Lists fetch their pages as they go. */
export class Archive {
  constructor(options: RoleOptions);
  /** The same for another user. */
  withToken(token: Token): Archive;
  search(search: Search): AsyncGenerator<Message, void>;
  /** Null also if the message is deleted, or not this user's to see. */
  getMessage(room: number, messageId: string, options?: CallOptions): Promise<Message | null>;
  /** Where a message is. Its author may ask too. `position`: as `post` answered it, for one that is not archived yet. */
  trace(room: number, messageId: string, options?: { position?: string } & CallOptions): Promise<Trace | null>;
  /** The messages of a search as one stream: the fastest way to read many. */
  export(search: ExportSearch): Export;
  /** An export as a file, for instance CSV. */
  exportFile(search: FileSearch): Promise<ExportFile>;
  /** The broadcasts of a room, newest first. */
  broadcasts(room: number, options?: Span & ListOptions): AsyncGenerator<Broadcast, void>;
  getBroadcast(room: number, broadcastId: string, options?: CallOptions): Promise<Broadcast | null>;
  /** The messages from a time in the recording on. While the broadcast runs, the generator waits for more. */
  replay(room: number, broadcastId: string, options?: ReplaySearch): AsyncGenerator<ReplayMessage, void>;
  exportBroadcast(room: number, broadcastId: string, options?: BroadcastFile): Promise<ExportFile>;
  statistics(room: number, options: Buckets): Promise<Statistics>;
  /** Who wrote most. */
  chatters(room: number, options: Most): Promise<Chatter[]>;
  /** The words that are in most messages. */
  words(room: number, options: Most): Promise<Word[]>;
  /** The moments that stand out, the clearest first. */
  highlights(room: number, options: Most & Buckets): Promise<Highlight[]>;
  /** The audit log, by time. */
  decisions(search?: AuditSearch): AsyncGenerator<Decision, void>;
  /** The reported messages of a room, the one that was reported last first. For its moderators. */
  reports(room: number, options?: { state?: 'open' | 'closed' } & ListOptions): AsyncGenerator<ReportedMessage, void>;
  /** Erases what a user has written until now, everywhere. Needs the scope `chat:erase`. */
  erase(user: number, options?: { mode?: 'remove' | 'anonymise' } & CallOptions): Promise<Receipt>;
  /** Newest first. */
  erasures(user: number, options?: CallOptions): Promise<Receipt[]>;
}
