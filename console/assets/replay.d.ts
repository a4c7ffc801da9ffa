/** The types of `replay.js`, the chat of a broadcast beside its recording. */

/** A message of the broadcast. */
export interface ReplayMessage {
  id: string;
  position: string;
  /** Milliseconds into the recording. It never decreases from one message to the next. */
  offsetMs: number;
  presenterIdx: number | string;
  /** `idx` is text above 2^53 - 1, so that no two users look the same. */
  user: { idx: number | string; nickname: string; role: 'presenter' | 'moderator' | 'viewer' };
  text: string;
  /** RFC 3339, UTC, with milliseconds. */
  sentAt: string;
  flags: string[];
  /** The id of the message that this one answers. It may not exist. */
  replyTo?: string;
  /** What the platform says about the message or its author. */
  attributes?: Record<string, unknown>;
  /** Which parts of the text are emotes, in its order. */
  emotes?: Emote[];
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

/**
 * `loading`: after a seek, and while the player is faster than the messages come. `waiting`: a running broadcast has no
 * more yet. `failed`: tried again, unless the archive refuses for good.
 */
export type ReplayState = 'loading' | 'playing' | 'ended' | 'waiting' | 'failed';

/** What the replay needs to know of a player. Every `<video>` has it. */
export type Player = Pick<HTMLMediaElement, 'currentTime' | 'playbackRate'> & EventTarget;

export interface ReplayOptions {
  /** Address of the archive, such as `https://archive.example.com`. */
  url: string;
  /** The room, by its presenter's number. */
  room: number | string;
  /** The id of the broadcast. */
  broadcast: string;
  player: Player;
  /** Called before every request. `expired`: the archive refused the last token. */
  getToken(hint: { expired: boolean }): string | Promise<string>;
  /** The chat just before this time, after a seek: it replaces what was shown. */
  onReset(messages: ReplayMessage[]): void;
  /** The next messages, in order. */
  onMessages(messages: ReplayMessage[]): void;
  onState?(state: ReplayState, reason?: string): void;
  /** The time in the recording at the player's zero, in milliseconds. */
  offsetMs?: number;
  /** `segments`, the default: the recording is cut while the presenter is away. `wall`: it runs on. */
  timeline?: 'segments' | 'wall';
}

export interface Replay {
  /** The time in the recording at the player's zero. Setting it loads the chat anew. */
  offsetMs: number;
  /** The time in the recording, in milliseconds. */
  readonly timeMs: number;
  /** Stops following the player. Nothing is handed out any more. */
  close(): void;
}

/** Hands out the chat at the player's time, through seeks, pauses and changes of speed, until `close()`. */
export function replayChat(options: ReplayOptions): Replay;
