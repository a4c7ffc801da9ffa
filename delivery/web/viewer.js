// @ts-check
/**
 * A viewer's end of a presenter's relay (`relay.js`): hands out the events that come over a data channel once and in
 * order, notices by their numbers what is missing, and asks for it. After a reconnect it goes on where it was, on another
 * channel, even of a presenter's page that was loaded anew. What cannot be had any more is a gap, and is told.
 */

/** @typedef {import('./relay.d.ts').RelayEvent} RelayEvent */

/** Ids that are remembered, to know what comes again: more than a relay keeps. */
const MAX_SEEN = 4_000;

/** How long an answer may take before what is missing is asked for again. */
const ASK_AGAIN_MS = 1_000;

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
  /** When what is missing was last asked for. */
  #askedAt = 0;
  /** Asks again where no welcome comes. @type {ReturnType<typeof setTimeout> | undefined} */
  #unanswered;
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
    clearTimeout(this.#unanswered);
    this.#listen = new AbortController();
    this.#channel = null;
    this.#expected = null;
    this.#parts = { number: 0, contents: [] };
  }

  /** Asks for what follows the last event. */
  #start() {
    if (this.#channel?.readyState !== 'open') return;
    this.#askedAt = Date.now();
    this.#channel.send(JSON.stringify({ type: 'start', after: this.#last }));
    // Chromium now and then loses what is sent in the moment in which a channel opens: said once is not enough.
    clearTimeout(this.#unanswered);
    this.#unanswered = setTimeout(() => this.#start(), ASK_AGAIN_MS);
  }

  /** @param {string | ArrayBuffer} data */
  #hear(data) {
    const text = typeof data === 'string' ? data : this.#assemble(data);
    if (text === null) return;
    const frame = JSON.parse(text);
    switch (frame.type) {
      case 'welcome':
        clearTimeout(this.#unanswered);
        this.#expected = frame.next;
        this.#askedAt = 0;
        if (!frame.recovered) this.#options.onGap?.({ missed: null });
        return;
      case 'gap':
        return this.#skip(frame.from, frame.to);
      case 'event':
        return this.#take(frame.number, frame.event);
    }
  }

  /** @param {number} from @param {number} to */
  #skip(from, to) {
    if (this.#expected === null || from !== this.#expected) return;
    this.#expected = to + 1;
    this.#options.onGap?.({ missed: to - from + 1 });
  }

  /** @param {number} number @param {RelayEvent} event */
  #take(number, event) {
    // Before the welcome the number means nothing; one that has passed came twice.
    if (this.#expected === null || number < this.#expected) return;
    if (number > this.#expected) {
      // Something is missing, which only a channel that is not reliable and ordered allows. Asking for what follows the
      // last event brings all of it again, in order.
      if (Date.now() - this.#askedAt > ASK_AGAIN_MS) this.#start();
      return;
    }
    this.#expected += 1;
    this.#last = event.id;
    if (this.#seen.has(event.id)) return;
    this.#seen.add(event.id);
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.values().next().value);
    this.#options.onEvent(event);
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
