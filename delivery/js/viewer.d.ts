/** The types of `viewer.js`, a viewer's client for a presenter's relay. */

import type { RelayEvent } from './relay.js';

export interface ViewerOptions {
  /** Takes the events, each once and in order. An error here is reported as uncaught, and the next event comes. */
  onEvent(event: RelayEvent): unknown;
  /** Called where events are missing that are no longer available. `missed`: how many. Null: unknown, perhaps none. */
  onGap?(gap: { missed: number | null }): unknown;
}

export interface Viewer {
  /** Continues on another channel, after a reconnect. */
  attach(channel: RTCDataChannel): void;
  /** Stops listening. */
  detach(): void;
}

export function receive(channel: RTCDataChannel, options: ViewerOptions): Viewer;
