// @ts-check
/**
 * A viewer's client for a presenter's relay (`relay.js`). It hands out the events of a data channel once and in order,
 * notices missing events by their numbers, and asks for them. After a reconnect it resumes on another channel, even if
 * the presenter's page was reloaded. It reports events that are no longer available as a gap.
 */

/** @typedef {import('./relay.d.ts').RelayEvent} RelayEvent */

/**
 * Remembered ids, to recognise repeated events, such as those that another relay sends from its beginning. More if the
 * relay keeps more. At most 10 MB.
 */
const MAX_SEEN = 100_000;

/** A start without a welcome is repeated after 1, 2, 4, 8, 8 ... s: on a busy line it queues behind other messages. */
const ASK_FIRST_MS = 1_000;
const ASK_MOST_MS = 8_000;

const PART_HEADER_BYTES = 8;

/**
 * @param {RTCDataChannel} channel
 * @param {import('./viewer.d.ts').ViewerOptions} options
 * @returns {import('./viewer.d.ts').Viewer}
 */
export function receive(channel, options) {
  const viewer = new Viewer(options);
  viewer.attach(channel);
  return viewer;
}

class Viewer {
  #options;
  /** @type {RTCDataChannel | null} */
  #channel = null;
  #listen = new AbortController();
  /** The number of the next event. Null until the relay's welcome. @type {number | null} */
  #expected = null;
  /** The id of the last event. @type {string | null} */
  #last = null;
  #seen = new Set();
  #remembers = MAX_SEEN;
  /** Repeats the start without a welcome. Undefined if none is awaited. @type {ReturnType<typeof setTimeout> | undefined} */
  #unanswered;
  #askAgainMs = ASK_FIRST_MS;
  /** The received parts of one large event. */
  #parts = { number: 0, contents: /** @type {Uint8Array[]} */ ([]) };

  /** @param {import('./viewer.d.ts').ViewerOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Continues on this channel, and stops listening to the previous one. @param {RTCDataChannel} channel */
  attach(channel) {
    this.detach();
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    const { signal } = this.#listen;
    channel.addEventListener('message', ({ data }) => this.#hear(data), { signal });
    if (channel.readyState === 'open') this.#start();
    else channel.addEventListener('open', () => this.#start(), { signal });
  }

  /** Stops listening. */
  detach() {
    this.#listen.abort();
    this.#answered();
    this.#listen = new AbortController();
    this.#channel = null;
    this.#expected = null;
    this.#parts = { number: 0, contents: [] };
  }

  /** Asks for the events after the last one. */
  #start() {
    if (this.#channel?.readyState !== 'open') return;
    // Repeated, because Chromium sometimes loses a message that is sent just as a channel opens.
    clearTimeout(this.#unanswered);
    this.#unanswered = setTimeout(() => this.#start(), this.#askAgainMs);
    this.#askAgainMs = Math.min(ASK_MOST_MS, 2 * this.#askAgainMs);
    try {
      this.#channel.send(JSON.stringify({ type: 'start', after: this.#last }));
    } catch (error) {
      report(error);
    }
  }

  #answered() {
    clearTimeout(this.#unanswered);
    this.#unanswered = undefined;
    this.#askAgainMs = ASK_FIRST_MS;
  }

  /** @param {string | ArrayBuffer} data */
  #hear(data) {
    try {
      const text = typeof data === 'string' ? data : this.#assemble(data);
      if (text !== null) this.#heed(JSON.parse(text));
    } catch (error) {
      // The client asks again for an event whose parts do not fit.
      report(error);
    }
  }

  /** @param {any} frame */
  #heed(frame) {
    switch (frame?.type) {
      case 'welcome':
        return this.#welcomed(frame);
      case 'gap':
        return this.#skip(frame.from, frame.to);
      case 'event':
        return this.#take(frame.number, frame.event);
      case 'reached':
        return this.#notice(frame.next);
    }
  }

  /** @param {{ next: number, recovered: boolean, keeps?: number }} welcome */
  #welcomed({ next, recovered, keeps = 0 }) {
    this.#answered();
    // Another relay may repeat everything that it keeps, and this relay has forwarded as much before.
    this.#remembers = Math.max(this.#remembers, 2 * keeps);
    const expected = this.#expected;
    this.#expected = Math.max(next, expected ?? next);
    if (expected === null) {
      if (!recovered) this.#tell(null);
    } else if (next > expected) {
      // The welcome of a repeated start: the relay no longer keeps the events in between.
      this.#tell(next - expected);
    }
  }

  /** @param {number} from @param {number} to */
  #skip(from, to) {
    const expected = this.#expected;
    if (expected === null || to < expected) return;
    if (from > expected) return this.#notice(from);
    this.#expected = to + 1;
    this.#tell(to - expected + 1);
  }

  /** @param {number} number @param {RelayEvent} event */
  #take(number, event) {
    // Before the welcome a number has no meaning. A number below the expected one is a repetition.
    if (this.#expected === null || number < this.#expected) return;
    if (number > this.#expected) return this.#notice(number);
    this.#expected += 1;
    this.#last = event.id;
    if (this.#seen.has(event.id)) return;
    this.#seen.add(event.id);
    if (this.#seen.size > this.#remembers) this.#seen.delete(this.#seen.values().next().value);
    call(() => this.#options.onEvent(event));
  }

  /**
   * The relay has sent every event before the number. If some are missing, which happens only on a channel that is not
   * reliable and ordered, a start makes the relay send them again, in order.
   * @param {number} number
   */
  #notice(number) {
    if (this.#expected !== null && number > this.#expected && this.#unanswered === undefined) this.#start();
  }

  /** @param {number | null} missed */
  #tell(missed) {
    call(() => this.#options.onGap?.({ missed }));
  }

  /** Returns the message once its last part has come. A lost part makes the event missing. @param {ArrayBuffer} part */
  #assemble(part) {
    const header = new DataView(part);
    const [number, index, count] = [header.getUint32(0), header.getUint16(4), header.getUint16(6)];
    if (number !== this.#parts.number || index === 0) this.#parts = { number, contents: [] };
    const { contents } = this.#parts;
    if (index !== contents.length) return null;
    contents.push(new Uint8Array(part, PART_HEADER_BYTES));
    if (contents.length < count) return null;
    this.#parts = { number: 0, contents: [] };
    const decoder = new TextDecoder();
    return contents.map((content) => decoder.decode(content, { stream: true })).join('') + decoder.decode();
  }
}

/** Calls a callback of the page. The client reports its errors and continues. @param {() => unknown} handler */
function call(handler) {
  try {
    const result = /** @type {any} */ (handler());
    if (typeof result?.then === 'function') Promise.resolve(result).catch(report);
  } catch (error) {
    report(error);
  }
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
