/** The types of `viewer.js`: a viewer's end of a presenter's relay. */

import type { RelayEvent } from './relay.js';

export interface ViewerOptions {
  /** Takes an event, each once and in order. An error in here is reported as uncaught, and the next event comes. */
  onEvent(event: RelayEvent): unknown;
  /** So many events are missing here and cannot be had any more; null: nobody knows how many, perhaps none. */
  onGap?(gap: { missed: number | null }): unknown;
}

export interface Viewer {
  /** Goes on over another channel, after a reconnect. */
  attach(channel: RTCDataChannel): void;
  /** Listens to no channel any more. */
  detach(): void;
}

export function receive(channel: RTCDataChannel, options: ViewerOptions): Viewer;
