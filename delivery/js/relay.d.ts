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
  /**
   * What viewers get of an event, or null: nothing. `forViewers` unless told; call that one for whatever you do not decide
   * yourself. An event for which it throws is not forwarded, and the error is reported. The `id` stays in any case.
   */
  forViewers?(event: RelayEvent): RelayEvent | null;
}

/**
 * What viewers need to show or hide a message, and no more: not who moderated (`by`), not why (`reason`), not how long a ban
 * lasts, nothing of `room.updated`. Of a type that it does not know, everything but `by` and `reason`.
 */
export function forViewers(event: RelayEvent): RelayEvent | null;

export interface Relay {
  /** Viewers at the moment: channels that are open. */
  readonly viewers: number;
  /**
   * Forwards an event to every viewer; to be handed over as it is: `onEvent: relay.send`. The promise, where one is returned,
   * is settled when the fastest viewer has caught up. What `forViewers` holds back is not forwarded, nor is what came before.
   */
  send: (event: { id: string; type: string }) => Promise<void> | undefined;
  /**
   * Serves a viewer until the channel closes. Open channels are welcome, and such that are connecting; one that is not open
   * after two minutes is closed, and so is one that takes nothing any more, which is reported.
   */
  add(channel: RTCDataChannel): void;
  /** Closes every channel. */
  close(): void;
}

export function createRelay(options?: RelayOptions): Relay;
