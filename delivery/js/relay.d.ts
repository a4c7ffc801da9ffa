/** The types of `relay.js`, the relay in the presenter's page. */

/**
 * An event of the room, or anything else with an id of its own. A later viewer receives `message.erased`, with an id
 * and nothing else, in place of a message whose author was erased.
 */
export interface RelayEvent {
  id: string;
  type: string;
  [member: string]: unknown;
}

export interface RelayOptions {
  /** How many earlier events a new viewer receives. Default: 100. */
  history?: number;
  /** How many events are kept for late, slow and absent viewers. Default: 2,000. */
  maxEvents?: number;
  /** How many bytes of events are kept. Default: 4 MB. */
  maxBytes?: number;
  /**
   * Returns the event as viewers receive it, or null to hold it back. Default: `forViewers`. Call that for events that
   * you do not handle yourself. If the function throws, the event is not forwarded, and the error is reported. The `id`
   * is always kept.
   */
  forViewers?(event: RelayEvent): RelayEvent | null;
}

/**
 * Returns only what viewers need to show or hide messages: not who moderated (`by`), not why (`reason`), not how long a
 * ban lasts, and nothing of `room.updated`. From an unknown type it removes `by` and `reason`.
 */
export function forViewers(event: RelayEvent): RelayEvent | null;

export interface Relay {
  /** The number of open channels. */
  readonly viewers: number;
  /**
   * Forwards an event to every viewer. Pass it as is: `onEvent: relay.send`. A returned promise settles when the
   * fastest viewer has caught up. Events that `forViewers` holds back are not forwarded, nor are repeated ones.
   */
  send: (event: { id: string; type: string }) => Promise<void> | undefined;
  /**
   * Serves a viewer until the channel closes. The channel may be open or connecting. The relay closes, and reports, a
   * channel that is not open after two minutes, or that accepts no messages any more.
   */
  add(channel: RTCDataChannel): void;
  /** Closes every channel. */
  close(): void;
}

export function createRelay(options?: RelayOptions): Relay;
