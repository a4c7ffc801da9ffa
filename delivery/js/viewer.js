// @ts-check
/**
 * A viewer's end of a presenter's relay (`relay.js`): hands out the events that come over a data channel once and in
 * order, notices by their numbers what is missing, and asks for it. After a reconnect it goes on where it was, on another
 * channel, even of a presenter's page that was loaded anew. What cannot be had any more is a gap, and is told.
 */

/** @typedef {import('./relay.d.ts').RelayEvent} RelayEvent */

/**
 * Ids that are remembered, to know what comes again, unless the relay keeps more: what another one sends from its
 * beginning. 10 MB at most.
 */
const MAX_SEEN = 100_000;

/** An answer that is late is asked for again after 1, 2, 4, 8, 8 ... s: on a busy line it waits behind what was sent. */
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
  /** The number of the event that is next; null until the relay's welcome. @type {number | null} */
  #expected = null;
  /** The last event that was handed out. @type {string | null} */
  #last = null;
  #seen = new Set();
  #remembers = MAX_SEEN;
  /** Asks again where no welcome comes; undefined where none is awaited. @type {ReturnType<typeof setTimeout> | undefined} */
  #unanswered;
  #askAgainMs = ASK_FIRST_MS;
  /** The parts of one large event, as far as they are here. */
  #parts = { number: 0, contents: /** @type {Uint8Array[]} */ ([]) };

  /** @param {import('./viewer.d.ts').ViewerOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Goes on over this channel; the one before is not listened to any more. @param {RTCDataChannel} channel */
  attach(channel) {
    this.detach();
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    const { signal } = this.#listen;
    channel.addEventListener('message', ({ data }) => this.#hear(data), { signal });
    if (channel.readyState === 'open') this.#start();
    else channel.addEventListener('open', () => this.#start(), { signal });
  }

  /** Listens to no channel any more. */
  detach() {
    this.#listen.abort();
    this.#answered();
    this.#listen = new AbortController();
    this.#channel = null;
    this.#expected = null;
    this.#parts = { number: 0, contents: [] };
  }

  /** Asks for what follows the last event. */
  #start() {
    if (this.#channel?.readyState !== 'open') return;
    // Chromium now and then loses what is sent in the moment in which a channel opens: said once is not enough.
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
      // An event whose parts do not fit is missing, and asked for.
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
    // Another relay may send again whatever it keeps, and this one has forwarded as much before.
    this.#remembers = Math.max(this.#remembers, 2 * keeps);
    const expected = this.#expected;
    this.#expected = Math.max(next, expected ?? next);
    if (expected === null) {
      if (!recovered) this.#tell(null);
    } else if (next > expected) {
      // The answer to a later question: what is between is not kept any more.
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
    // Before the welcome the number means nothing; one that has passed came twice.
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
   * What is before that number should be here. If it is not, which only a channel that is not reliable and ordered allows,
   * asking for what follows the last event brings all of it again, in order.
   * @param {number} number
   */
  #notice(number) {
    if (this.#expected !== null && number > this.#expected && this.#unanswered === undefined) this.#start();
  }

  /** @param {number | null} missed */
  #tell(missed) {
    call(() => this.#options.onGap?.({ missed }));
  }

  /** Returns the whole once its last part is here. A part that is lost makes the event missing. @param {ArrayBuffer} part */
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

/** Calls a function of the page's. Whatever it does, the client goes on. @param {() => unknown} handler */
function call(handler) {
  try {
    const result = /** @type {any} */ (handler());
    if (typeof result?.then === 'function') Promise.resolve(result).catch(report);
  } catch (error) {
    report(error);
  }
}

/** As an uncaught error, where the engine knows how. @param {unknown} error */
function report(error) {
  try {
    if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
    else globalThis.console?.error(error);
  } catch {
    // There is nobody left to tell.
  }
}
