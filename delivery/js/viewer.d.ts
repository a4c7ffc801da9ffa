/** The types of `viewer.js`, a viewer's client for a presenter's relay. */

import type { Status } from './presenter.js';
import type { RelayEvent } from './relay.js';

/** What reads the room's events from the server, such as `readRoom` of `reader.js`. */
export interface EventsOptions {
  /** The position of the last event that the viewer has. Null: it has none. */
  position: string | null;
  onEvent(event: { id: string; type: string }): void;
  onGap(): void;
  onStatus(status: Status): void;
}

export interface ViewerOptions {
  /** Takes the events, each once and in order. An error here is reported as uncaught, and the next event comes. */
  onEvent(event: RelayEvent): unknown;
  /** Called where events are missing that are no longer available. `missed`: how many. Null: unknown, perhaps none. */
  onGap?(gap: { missed: number | null }): unknown;
  /**
   * The second source: reads the room's events from the server while the channel is closed or silent.
   * `(options) => readRoom({ url, room, getToken, ...options })`.
   */
  readEvents?(options: EventsOptions): { close(): void } | Promise<{ close(): void }>;
  /** Called when the events begin to come from the channel or from the server. */
  onSource?(source: 'channel' | 'events'): unknown;
}

export interface Viewer {
  /** Continues on another channel, after a reconnect. Null: without one, from the server. */
  attach(channel: RTCDataChannel | null): void;
  /** Stops listening, also to the server. */
  detach(): void;
}

/** `channel`: null if there is none yet. With `readEvents` the viewer then reads from the server. */
export function receive(channel: RTCDataChannel | null, options: ViewerOptions): Viewer;
