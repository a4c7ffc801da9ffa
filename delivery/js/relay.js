// @ts-check
/**
 * The relay in the presenter's page: numbers the events and forwards them to every viewer's data channel, each at its
 * own pace. It keeps the latest events once, and a viewer is a cursor into them. A slow viewer delays nobody and costs
 * no memory. A late viewer begins some events back. A viewer that reconnects resumes where it was. A viewer that falls
 * behind the kept events is told of the gap. `viewer.js` is the other end.
 *
 * Viewers receive only what they need to show or hide messages (`forViewers`). Who moderated and why, and the room's
 * settings, are not forwarded.
 */

/** @typedef {import('./relay.d.ts').RelayEvent} RelayEvent */
/** @typedef {(string | Uint8Array<ArrayBuffer>)[]} Pieces */
/** @typedef {{ event: RelayEvent, pieces: Pieces, bytes: number }} Kept */
/**
 * @typedef {{
 *   channel: RTCDataChannel, cursor: number | null, first: number | null, moves: boolean, listen: AbortController,
 *   failures: number, retry: ReturnType<typeof setTimeout> | undefined, opening: ReturnType<typeof setTimeout> | undefined,
 *   reached: number, credit: number, credited: number,
 * }} Viewer
 */

/** 64 KB: the largest data channel message that every browser accepts from every other. */
const SAFE_BYTES = 64 * 1024;

/** A part of a larger message begins with the event's number (32 bits), its index and the count (16 bits each). */
const PART_HEADER_BYTES = 8;

/** A channel may buffer 256 KB, enough to keep the line busy, and is refilled when it falls below 64 KB. */
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;

/** A viewer that takes nothing for this long no longer sets the pace. */
const STALL_MS = 1_000;

/** A channel that still connects after this will never open: it is closed, so that both ends know. */
const OPEN_TIMEOUT_MS = 120_000;

/** A channel that throws is retried after 0.25, 0.5, ... 4 s. */
const RETRY_FIRST_MS = 250;

/** Then the viewer is told of a gap. If that cannot be sent either, the channel is closed. */
const RETRIES = 5;

/** On a lossy channel, only a later message reveals that the last event is lost: `reached`, after this time, ... */
const REACHED_FIRST_MS = 1_000;

/** ... and this many times, each after twice the delay. */
const REACHED_TIMES = 4;

/** A viewer that has everything hears of the relay this often. After three that did not come, it may read elsewhere. */
const KEEPALIVE_SECONDS = 5;

/** A viewer's start frame has an id, which may be the page's own. Longer messages are ignored. */
const MAX_HEARD_CHARACTERS = SAFE_BYTES;

/** A viewer's credit for repeated events grows by this many bytes a second, up to `maxBytes`. */
const AGAIN_BYTES_PER_SECOND = 64 * 1024;

/** The cost of a start: the welcome, and the work. */
const START_BYTES = 1024;

/** The members that viewers receive, by type, besides `id`, `type`, `at`, `v`, `position` and `presenterIdx`. */
const SHOWN = new Map([
  ['message.posted', ['user', 'text', 'flags', 'replyTo', 'attributes', 'emotes', 'deleted']],
  ['notice.posted', ['user', 'text', 'deleted']],
  ['message.deleted', ['target']],
  ['message.pinned', ['target']],
  ['message.unpinned', ['target']],
  ['message.restored', ['target', 'message']],
  ['room.cleared', []],
  ['user.banned', ['user', 'purgeSeconds']],
  ['user.unbanned', ['user']],
  ['user.erased', ['user']],
]);

/** What no viewer receives: settings, which may contain the room's own words, and what moderators alone know. */
const HIDDEN = new Set([
  'room.updated',
  'message.held',
  'message.denied',
  'message.reported',
  'report.closed',
  'user.warned',
  'warning.withdrawn',
  'warning.sent',
  'note.added',
  'note.deleted',
]);

/**
 * @param {RelayEvent} event
 * @returns {RelayEvent | null}
 */
export function forViewers(event) {
  if (HIDDEN.has(event.type)) return null;
  const shown = SHOWN.get(event.type);
  if (!shown) {
    const { by, reason, ...rest } = event;
    return rest;
  }
  // Viewers would hide another user's messages, too.
  if (shown[0] === 'user' && typeof event.user === 'number' && userOf(event.user) === null) {
    throw new Error(`${event.type}: the user number ${event.user} is too large to be exact`);
  }
  const members = ['id', 'type', 'at', 'v', 'position', 'presenterIdx', ...shown].filter((name) => name in event);
  const picked = /** @type {RelayEvent} */ (Object.fromEntries(members.map((name) => [name, event[name]])));
  if (isMessage(event) && 'user' in picked) picked.user = author(picked.user);
  if (picked.message) picked.message = forViewers(/** @type {RelayEvent} */ (picked.message));
  return picked;
}

/** Whether it has an author and a text. @param {RelayEvent | undefined} event */
function isMessage(event) {
  return event?.type === 'message.posted' || event?.type === 'notice.posted';
}

/**
 * @param {import('./relay.d.ts').RelayOptions} [options]
 * @returns {import('./relay.d.ts').Relay}
 */
export function createRelay(options) {
  return new Relay(options);
}

class Relay {
  #history;
  #maxEvents;
  #maxBytes;
  #forViewers;
  /** The latest events by number, `#oldest` to just before `#next`. @type {Map<number, Kept>} */
  #kept = new Map();
  #oldest = 1;
  #next = 1;
  #bytes = 0;
  /** The numbers of the kept events, by id. @type {Map<string, number>} */
  #numbers = new Map();
  /** @type {Set<Viewer>} */
  #viewers = new Set();
  /** Sends `reached` on lossy channels. @type {ReturnType<typeof setTimeout> | undefined} */
  #reachedTimer;
  /** Sends keepalives while there are viewers. @type {ReturnType<typeof setInterval> | undefined} */
  #keepalive;
  /** The pause until the viewers catch up. Null if there is none. @type {{ ends: Promise<void>, end(): void } | null} */
  #pause = null;

  /** @param {import('./relay.d.ts').RelayOptions} [options] */
  constructor({ history = 100, maxEvents = 2_000, maxBytes = 4 * 1024 * 1024, forViewers: shown = forViewers } = {}) {
    this.#forViewers = shown;
    this.#history = history;
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get viewers() {
    return [...this.#viewers].filter(({ channel }) => channel.readyState === 'open').length;
  }

  /**
   * Forwards an event to every viewer. Bound, so that it can be passed as is: `onEvent: relay.send`.
   *
   * After an outage, events may come faster than any channel takes them. A returned promise makes the source wait for
   * the fastest viewer, so that not all viewers miss events. Slower viewers do not count.
   * @param {RelayEvent} event
   */
  send = (event) => {
    this.#forget(event);
    // A repeated event was forwarded before.
    const shown = this.#numbers.has(event.id) ? null : this.#shown(event);
    if (shown === null) return this.#pause?.ends;
    // Only an event that can be sent gets a number: the page receives the error, and the numbers have no gap.
    this.#keep(this.#next, { ...event }, shown);
    this.#numbers.set(event.id, this.#next);
    this.#next += 1;
    while (this.#kept.size > 1 && (this.#kept.size > this.#maxEvents || this.#bytes > this.#maxBytes)) {
      const { event, bytes } = /** @type {Kept} */ (this.#kept.get(this.#oldest));
      this.#kept.delete(this.#oldest++);
      this.#numbers.delete(event.id);
      this.#bytes -= bytes;
    }
    for (const viewer of this.#viewers) this.#pump(viewer);
    if (this.#allLag()) this.#pause ??= this.#beginPause();
    return this.#pause?.ends;
  };

  /**
   * Serves a viewer until the channel closes. The channel may still be connecting.
   * @param {RTCDataChannel} channel
   */
  add(channel) {
    for (const viewer of this.#viewers) if (viewer.channel === channel) return;
    /** @type {Viewer} */
    const viewer = {
      channel, cursor: null, first: null, moves: true, listen: new AbortController(),
      failures: 0, retry: undefined, opening: undefined,
      reached: 1, credit: this.#maxBytes, credited: performance.now(),
    };
    const { signal } = viewer.listen;
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    channel.addEventListener('bufferedamountlow', () => this.#retry(viewer), { signal });
    channel.addEventListener('message', ({ data }) => this.#hear(viewer, data), { signal });
    channel.addEventListener('close', () => this.#remove(viewer), { signal });
    this.#viewers.add(viewer);
    this.#sendKeepalives();
    if (channel.readyState !== 'connecting') return;
    channel.addEventListener('open', () => clearTimeout(viewer.opening), { signal });
    viewer.opening = setTimeout(() => {
      if (channel.readyState === 'connecting') this.#giveUp(viewer, 'it did not open in time');
    }, OPEN_TIMEOUT_MS);
    // The timer must not keep Node.js running.
    /** @type {any} */ (viewer.opening).unref?.();
  }

  /** Closes every channel. */
  close() {
    clearTimeout(this.#reachedTimer);
    for (const viewer of this.#viewers) {
      this.#remove(viewer);
      viewer.channel.close();
    }
  }

  /** The event as viewers receive it. Null if `forViewers` fails. @param {RelayEvent} event @returns {RelayEvent | null} */
  #shown(event) {
    try {
      const message = /** @type {RelayEvent | undefined} */ (event.type === 'message.restored' ? event.message : undefined);
      // The page may show messages in its own way, also restored ones.
      const restored = message ? { ...event, message: this.#forViewers(message) ?? undefined } : event;
      const shown = this.#forViewers(restored) ?? null;
      // A viewer resumes by the id.
      return shown === null ? null : { ...shown, id: event.id };
    } catch (error) {
      report(error);
      return null;
    }
  }

  /**
   * Removes deleted texts, and messages of erased users, from what later viewers receive, and puts restored ones back.
   * @param {RelayEvent} event
   */
  #forget(event) {
    if (event.type === 'message.deleted') {
      const number = this.#numbers.get(/** @type {string} */ (event.target));
      if (number !== undefined) this.#redact(number);
      for (const [number, { event: kept }] of this.#kept) if (kept.target === event.target) this.#redact(number);
    } else if (event.type === 'message.restored') {
      this.#restore(event);
    } else if (event.type === 'room.cleared') {
      for (const number of this.#kept.keys()) this.#redact(number);
    } else if (event.type === 'user.banned' && typeof event.purgeSeconds === 'number') {
      const purged = userOf(event.user);
      const since = Date.parse(/** @type {string} */ (event.at)) - event.purgeSeconds * 1_000;
      for (const [number, { event: kept }] of this.#kept) {
        const message = /** @type {any} */ (kept.type === 'message.restored' ? kept.message : kept);
        if (userOf(message?.user?.idx) === purged && !(Date.parse(message.at) < since)) this.#redact(number);
      }
    } else if (event.type === 'user.erased') {
      const erased = userOf(event.user);
      if (erased === null) return report(new Error(`user.erased: the user number ${event.user} is too large to be exact`));
      for (const [number, { event: kept }] of this.#kept) {
        const message = /** @type {any} */ (kept.type === 'message.restored' ? kept.message : kept);
        if (isMessage(message) && userOf(message.user?.idx) === erased) this.#blank(number, kept.id);
      }
    }
  }

  /** @param {number} number */
  #redact(number) {
    const { event } = /** @type {Kept} */ (this.#kept.get(number));
    const { text, flags, replyTo, attributes, emotes, message, ...rest } = event;
    /** @type {RelayEvent} */
    let redacted;
    if (isMessage(event)) redacted = { ...rest, deleted: true };
    else if (event.type === 'message.restored') redacted = rest;
    else return;
    try {
      const shown = this.#shown(redacted);
      if (shown !== null) return this.#replace(number, redacted, shown);
    } catch (error) {
      report(error);
    }
    this.#blank(number, event.id);
  }

  /** Shows later viewers the message at its place. @param {RelayEvent} event */
  #restore({ target, message }) {
    const number = this.#numbers.get(/** @type {string} */ (target));
    if (number === undefined || !isMessage(this.#kept.get(number)?.event) || !message) return;
    const restored = { .../** @type {RelayEvent} */ (message) };
    const shown = this.#shown(restored);
    if (shown !== null) this.#replace(number, restored, shown);
  }

  /** Keeps the id, so that a viewer whose last event it was can resume. @param {number} number @param {string} id */
  #blank(number, id) {
    const blank = { id, type: 'message.erased' };
    this.#replace(number, blank, blank);
  }

  /** @param {number} number @param {RelayEvent} event @param {RelayEvent} shown */
  #replace(number, event, shown) {
    const { bytes } = /** @type {Kept} */ (this.#kept.get(number));
    this.#keep(number, event, shown);
    this.#bytes -= bytes;
  }

  /** @param {number} number @param {RelayEvent} event @param {RelayEvent} shown */
  #keep(number, event, shown) {
    const text = JSON.stringify({ type: 'event', number, event: shown });
    const encoded = new TextEncoder().encode(text);
    const pieces = encoded.length <= SAFE_BYTES ? [text] : parts(number, encoded);
    this.#kept.set(number, { event, pieces, bytes: encoded.length });
    this.#bytes += encoded.length;
  }

  /** @param {Viewer} viewer @param {unknown} data */
  #hear(viewer, data) {
    if (typeof data !== 'string' || data.length > MAX_HEARD_CHARACTERS) return;
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.type !== 'start' || !this.#mayStart(viewer)) return;
    const known = this.#numbers.get(frame.after);
    const comesBack = typeof frame.after === 'string';
    // A viewer asks again if the welcome or a later message was lost or late. It then receives everything from its
    // first start on, if none of what it has seen is still kept. A returning viewer may have seen events of another
    // relay, and recognises them.
    viewer.first ??= known !== undefined ? known + 1 : comesBack ? this.#oldest : this.#historyBegins();
    const next = known !== undefined ? known + 1 : viewer.first;
    const recovered = known !== undefined || !comesBack;
    const welcome = { type: 'welcome', next, recovered, keeps: this.#maxEvents, keepaliveSeconds: KEEPALIVE_SECONDS };
    if (!this.#transmit(viewer, [JSON.stringify(welcome)])) {
      // The viewer asks again without a welcome.
      if (this.#viewers.has(viewer) && viewer.failures++ >= RETRIES) this.#giveUp(viewer, 'it accepts no messages');
      return;
    }
    viewer.cursor = next;
    viewer.failures = 0;
    this.#retry(viewer);
  }

  /**
   * Limits repeated starts: otherwise any viewer could fill the presenter's uplink with a few bytes. New events are
   * sent in any case.
   * @param {Viewer} viewer
   */
  #mayStart(viewer) {
    const now = performance.now();
    const earned = (Math.max(0, now - viewer.credited) / 1_000) * AGAIN_BYTES_PER_SECOND;
    viewer.credit = Math.min(this.#maxBytes, viewer.credit + earned);
    viewer.credited = now;
    if (viewer.credit < START_BYTES) return false;
    viewer.credit -= START_BYTES;
    return true;
  }

  #historyBegins() {
    return Math.max(this.#oldest, this.#next - this.#history);
  }

  /** Sends the viewer's next events, as many as its channel takes now. @param {Viewer} viewer */
  #pump(viewer) {
    // Closing a peer connection closes its channels without an event.
    if (viewer.channel.readyState === 'closed') return this.#remove(viewer);
    if (viewer.cursor === null || viewer.retry !== undefined) return;
    if (viewer.cursor < this.#next && isLossy(viewer.channel)) this.#sayReached(0);
    while (viewer.cursor < this.#next && viewer.channel.bufferedAmount <= HIGH_WATER_BYTES) {
      if (viewer.cursor < this.#oldest) {
        if (!this.#transmit(viewer, [gap(viewer.cursor, this.#oldest - 1)])) return this.#stumble(viewer);
        viewer.cursor = this.#oldest;
      }
      const { pieces, bytes } = /** @type {Kept} */ (this.#kept.get(viewer.cursor));
      if (!this.#transmit(viewer, pieces)) return this.#stumble(viewer);
      if (viewer.cursor < viewer.reached) viewer.credit -= bytes;
      viewer.cursor += 1;
      viewer.reached = Math.max(viewer.reached, viewer.cursor);
      viewer.moves = true;
      viewer.failures = 0;
    }
    if (this.#pause && !this.#allLag()) this.#pause.end();
  }

  /** Handles a channel that threw, for a full buffer or for this event. @param {Viewer} viewer */
  #stumble(viewer) {
    // A viewer whose channel has closed resumes on another channel.
    if (!this.#viewers.has(viewer)) return;
    if (viewer.failures++ < RETRIES) {
      viewer.moves = false;
      viewer.retry = setTimeout(() => this.#retry(viewer), RETRY_FIRST_MS * 2 ** (viewer.failures - 1));
      if (this.#pause && !this.#allLag()) this.#pause.end();
      return;
    }
    const cursor = /** @type {number} */ (viewer.cursor);
    const to = Math.max(cursor, this.#oldest - 1);
    if (!this.#transmit(viewer, [gap(cursor, to)])) return this.#giveUp(viewer, 'it accepts no messages');
    viewer.cursor = to + 1;
    viewer.failures = 0;
    this.#pump(viewer);
  }

  /** @param {Viewer} viewer */
  #retry(viewer) {
    clearTimeout(viewer.retry);
    viewer.retry = undefined;
    this.#pump(viewer);
  }

  /** Closes the channel, so that the viewer notices. @param {Viewer} viewer @param {string} why */
  #giveUp(viewer, why) {
    this.#remove(viewer);
    report(new Error(`closed the channel "${viewer.channel.label}" of a viewer: ${why}`));
    viewer.channel.close();
  }

  /** Tells viewers with a lossy channel how far the events go, once it is quiet. @param {number} times */
  #sayReached(times) {
    clearTimeout(this.#reachedTimer);
    if (times === REACHED_TIMES) return;
    this.#reachedTimer = setTimeout(() => {
      const reached = JSON.stringify({ type: 'reached', next: this.#next });
      for (const viewer of this.#viewers) {
        if (viewer.cursor === this.#next && isLossy(viewer.channel)) this.#transmit(viewer, [reached]);
      }
      this.#sayReached(times + 1);
    }, REACHED_FIRST_MS * 2 ** times);
  }

  /** Tells viewers that wait for events that the relay is there. */
  #sendKeepalives() {
    if (this.#keepalive !== undefined) return;
    const keepalive = JSON.stringify({ type: 'keepalive' });
    this.#keepalive = setInterval(() => {
      for (const viewer of this.#viewers) {
        // What is still buffered comes before a keepalive, and says as much.
        if (viewer.cursor === this.#next && viewer.channel.bufferedAmount === 0) this.#transmit(viewer, [keepalive]);
      }
    }, 1_000 * KEEPALIVE_SECONDS);
    // The timer must not keep Node.js running.
    /** @type {any} */ (this.#keepalive).unref?.();
  }

  /** Whether the kept events near their bounds, and even the fastest viewer lacks half of them. */
  #allLag() {
    if (this.#kept.size < this.#maxEvents / 2 && this.#bytes < this.#maxBytes / 2) return false;
    const middle = this.#oldest + this.#kept.size / 2;
    const pacing = [...this.#viewers].filter(({ cursor, moves }) => cursor !== null && moves);
    return pacing.length > 0 && pacing.every(({ cursor }) => /** @type {number} */ (cursor) < middle);
  }

  #beginPause() {
    let end = () => {};
    const ends = new Promise((/** @type {(nothing: void) => void} */ resolve) => {
      const stalled = setTimeout(() => {
        for (const viewer of this.#viewers) viewer.moves = false;
        end();
      }, STALL_MS);
      end = () => {
        clearTimeout(stalled);
        this.#pause = null;
        resolve();
      };
    });
    return { ends, end };
  }

  /** @param {Viewer} viewer @param {Pieces} pieces */
  #transmit(viewer, pieces) {
    try {
      for (const piece of pieces) viewer.channel.send(/** @type {any} */ (piece));
      return true;
    } catch {
      if (viewer.channel.readyState !== 'open') this.#remove(viewer);
      return false;
    }
  }

  /** @param {Viewer} viewer */
  #remove(viewer) {
    viewer.listen.abort();
    clearTimeout(viewer.opening);
    clearTimeout(viewer.retry);
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0) {
      clearInterval(this.#keepalive);
      this.#keepalive = undefined;
    }
    if (this.#pause && !this.#allLag()) this.#pause.end();
  }
}

/** @param {number} from @param {number} to */
function gap(from, to) {
  return JSON.stringify({ type: 'gap', from, to });
}

/** @param {RTCDataChannel} channel */
function isLossy({ ordered, maxRetransmits, maxPacketLifeTime }) {
  return ordered === false || (maxRetransmits ?? null) !== null || (maxPacketLifeTime ?? null) !== null;
}

/** The user's id as a string. Null for a number too large to be exact. @param {unknown} idx */
function userOf(idx) {
  return typeof idx === 'string' || Number.isSafeInteger(idx) ? String(idx) : null;
}

/** The author of a message. @param {any} user */
function author(user) {
  if (typeof user !== 'object' || user === null) return undefined;
  const { idx, nickname, role } = user;
  return userOf(idx) === null ? { nickname, role } : { idx, nickname, role };
}

/** Reports as an uncaught error, where the engine can. @param {unknown} error */
function report(error) {
  try {
    if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
    else globalThis.console?.error(error);
  } catch {
    // Nothing is left to report to.
  }
}

/** Cuts an event into parts of a safe size. @param {number} number @param {Uint8Array} encoded */
function parts(number, encoded) {
  const size = SAFE_BYTES - PART_HEADER_BYTES;
  const count = Math.ceil(encoded.length / size);
  return Array.from({ length: count }, (_, index) => {
    const content = encoded.subarray(index * size, (index + 1) * size);
    const part = new Uint8Array(PART_HEADER_BYTES + content.length);
    const header = new DataView(part.buffer);
    header.setUint32(0, number);
    header.setUint16(4, index);
    header.setUint16(6, count);
    part.set(content, PART_HEADER_BYTES);
    return part;
  });
}
