/** The types of `relay.js`: the presenter's end of the data channels. */

/**
 * What is forwarded: an event of the room, or whatever has an id of its own. In the place of a message whose author was
 * erased a later viewer gets `message.erased`, which has an id and nothing else.
 */
export interface RelayEvent {
  id: string;
  type: string;
  [member: string]: unknown;
}

export interface RelayOptions {
  /** How many events a new viewer gets of what was before. 100 unless told. */
  history?: number;
  /** How many events are kept, for viewers who are late, slow, or away. 2,000 unless told. */
  maxEvents?: number;
  /** How many bytes of them. 4 MB unless told. */
  maxBytes?: number;
}

export interface Relay {
  /** Viewers at the moment. */
  readonly viewers: number;
  /**
   * Forwards an event to every viewer; to be handed over as it is: `onEvent: relay.send`. The promise, where one is returned,
   * is settled when the fastest viewer has caught up. `room.updated` is not forwarded: it may hold the room's own words.
   */
  send: (event: { id: string; type: string }) => Promise<void> | undefined;
  /** Serves a viewer until the channel closes. Open channels are welcome, and such that are connecting. */
  add(channel: RTCDataChannel): void;
  /** Closes every channel. */
  close(): void;
}

export function createRelay(options?: RelayOptions): Relay;
