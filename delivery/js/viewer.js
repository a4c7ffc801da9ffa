// @ts-check
/**
 * A viewer's client for a presenter's relay (`relay.js`). It hands out the events of a data channel once and in order,
 * notices missing events by their numbers, and asks for them. After a reconnect it resumes on another channel, even if
 * the presenter's page was reloaded. It reports events that are no longer available as a gap.
 *
 * While the channel is closed or silent, it can read the room's events from the server (`readEvents`). Both sources
 * have the room's events in the log's order, each with its id: what one has handed out is not taken from the other.
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

/** A channel counts as silent without a welcome in this time ... */
const WELCOME_WITHIN_MS = 15_000;

/** ... and later without so many keepalives of its relay, each after 5 s. */
const KEEPALIVES_MISSED = 3;

/** The server is asked a random part of this later, because all viewers of a page that closes notice at once. */
const SPREAD_MS = 2_000;

/** Events of a channel that wait until they meet those of the server: as many as a relay keeps. */
const MOST_WAITING = 2_000;

/**
 * @param {RTCDataChannel | null} channel
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
  /** The position of the last event that was handed out. @type {string | null} */
  #position = null;
  /** The channel's events after this id come as numbered. @type {string | null} */
  #resume = null;
  #seen = new Set();
  #remembers = MAX_SEEN;
  /** Repeats the start without a welcome. Undefined if none is awaited. @type {ReturnType<typeof setTimeout> | undefined} */
  #unanswered;
  #askAgainMs = ASK_FIRST_MS;
  /** When the channel was last heard, and the silence after which it counts as broken. */
  #heardAt = 0;
  #silenceMs = Infinity;
  /** Fires when the channel may be silent. @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** Fires when the server is asked. @type {ReturnType<typeof setTimeout> | undefined} */
  #spread;
  /** Marks the reading of the server that is in progress. Null if there is none. @type {object | null} */
  #reading = null;
  /** @type {{ close(): void } | null} */
  #reader = null;
  /** Whether the server sends events. */
  #isLive = false;
  /**
   * The events of a channel whose relay does not know the viewer's last event. They wait until the server sends one of
   * them: what follows on it is then complete. Null: the channel is taken as it comes.
   * @type {Map<string, RelayEvent> | null}
   */
  #waiting = null;
  /** @type {'channel' | 'events' | null} */
  #source = null;
  /** The received parts of one large event. */
  #parts = { number: 0, contents: /** @type {Uint8Array[]} */ ([]) };

  /** @param {import('./viewer.d.ts').ViewerOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Continues on this channel, and stops listening to the previous one. Null: on none, and reads from the server.
   * @param {RTCDataChannel | null} channel
   */
  attach(channel) {
    this.#leave();
    if (channel === null) return this.#lose();
    this.#channel = channel;
    this.#resume = this.#last;
    channel.binaryType = 'arraybuffer';
    const { signal } = this.#listen;
    channel.addEventListener('message', ({ data }) => this.#hear(data), { signal });
    channel.addEventListener('close', () => this.#lose(), { signal });
    this.#heardAt = performance.now();
    this.#silenceMs = WELCOME_WITHIN_MS;
    this.#watch();
    if (channel.readyState === 'open') this.#start();
    else channel.addEventListener('open', () => this.#start(), { signal });
  }

  /** Stops listening, also to the server. */
  detach() {
    this.#leave();
    this.#stopReading();
  }

  /** Stops listening to the channel. */
  #leave() {
    this.#listen.abort();
    this.#answered();
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#listen = new AbortController();
    this.#channel = null;
    this.#expected = null;
    this.#waiting = null;
    this.#parts = { number: 0, contents: [] };
  }

  /** The channel is closed or silent: reads from the server, soon. */
  #lose() {
    if (!this.#options.readEvents || this.#reading !== null || this.#spread !== undefined) return;
    this.#spread = setTimeout(() => {
      this.#spread = undefined;
      this.#read();
    }, Math.random() * SPREAD_MS);
  }

  async #read() {
    const reading = (this.#reading = {});
    const isMine = () => this.#reading === reading;
    this.#isLive = false;
    try {
      const reader = await this.#options.readEvents?.({
        position: this.#position,
        onEvent: (event) => isMine() && this.#takeFromServer(/** @type {RelayEvent} */ (event)),
        onGap: () => isMine() && this.#tell(null),
        onStatus: ({ state }) => isMine() && this.#noteReader(state),
      });
      if (isMine()) this.#reader = reader ?? null;
      else reader?.close();
    } catch (error) {
      report(error);
      if (isMine()) this.#stopReading();
    }
  }

  #stopReading() {
    clearTimeout(this.#spread);
    this.#spread = undefined;
    this.#reading = null;
    this.#isLive = false;
    this.#reader?.close();
    this.#reader = null;
  }

  /** @param {string} state */
  #noteReader(state) {
    this.#isLive = state === 'live';
    if (this.#isLive) this.#tellSource('events');
    // The server refuses this viewer. A channel that waits for its events goes on without them.
    if (state === 'stopped' && this.#waiting !== null) {
      this.#tell(null);
      this.#join([...this.#waiting.values()]);
    }
  }

  /** @param {RelayEvent} event */
  #takeFromServer(event) {
    this.#handOut(event);
    // Another channel asks for what comes after it.
    this.#last = event.id;
    if (!this.#waiting?.has(event.id)) return;
    const waiting = [...this.#waiting.values()];
    this.#join(waiting.slice(waiting.findIndex(({ id }) => id === event.id) + 1));
  }

  /** The channel is the source again, from these events on. @param {RelayEvent[]} events */
  #join(events) {
    this.#waiting = null;
    this.#stopReading();
    this.#tellSource('channel');
    this.#last = this.#resume;
    for (const event of events) this.#handOut(event);
  }

  /** Looks whether the channel is silent, now and when it may be. */
  #watch() {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    if (!this.#options.readEvents || this.#silenceMs === Infinity) return;
    const leftMs = this.#heardAt + this.#silenceMs - performance.now();
    if (leftMs <= 0) this.#lose();
    else this.#silence = setTimeout(() => this.#watch(), leftMs);
  }

  /** Something came by the channel. */
  #noteChannel() {
    this.#heardAt = performance.now();
    if (this.#silence === undefined) this.#watch();
    if (this.#expected === null || this.#waiting !== null) return;
    // It was silent, and what comes now goes on where it was.
    if (this.#reading !== null || this.#spread !== undefined) this.#join([]);
  }

  /** Asks for the events after the last one. */
  #start() {
    if (this.#channel?.readyState !== 'open') return;
    // Repeated, because Chromium sometimes loses a message that is sent just as a channel opens.
    clearTimeout(this.#unanswered);
    this.#unanswered = setTimeout(() => this.#start(), this.#askAgainMs);
    this.#askAgainMs = Math.min(ASK_MOST_MS, 2 * this.#askAgainMs);
    try {
      this.#channel.send(JSON.stringify({ type: 'start', after: this.#resume }));
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
    this.#noteChannel();
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

  /** @param {{ next: number, recovered: boolean, keeps?: number, keepaliveSeconds?: number }} welcome */
  #welcomed({ next, recovered, keeps = 0, keepaliveSeconds = Infinity }) {
    this.#answered();
    // A relay of an earlier version sends no keepalives, and nothing follows from its silence.
    this.#silenceMs = keepaliveSeconds > 0 ? KEEPALIVES_MISSED * 1_000 * keepaliveSeconds : Infinity;
    this.#watch();
    // Another relay may repeat everything that it keeps, and this relay has forwarded as much before.
    this.#remembers = Math.max(this.#remembers, 2 * keeps);
    const expected = this.#expected;
    this.#expected = Math.max(next, expected ?? next);
    if (expected === null) {
      // A channel that began before the server's first event would repeat what came before it.
      const goesOn = recovered && (this.#resume !== null || this.#last === null);
      if (!goesOn && this.#isLive) {
        this.#waiting = new Map();
        return;
      }
      if (!goesOn) this.#tell(null);
      this.#join([]);
    } else if (next > expected) {
      // The welcome of a repeated start: the relay no longer keeps the events in between.
      this.#miss(next - expected);
    }
  }

  /** @param {number} from @param {number} to */
  #skip(from, to) {
    const expected = this.#expected;
    if (expected === null || to < expected) return;
    if (from > expected) return this.#notice(from);
    this.#expected = to + 1;
    this.#miss(to - expected + 1);
  }

  /** So many of the channel's events are missing here. @param {number} missed */
  #miss(missed) {
    if (this.#waiting === null) this.#tell(missed);
    // The server has them. What waits does not lead on to what comes next.
    else this.#waiting.clear();
  }

  /** @param {number} number @param {RelayEvent} event */
  #take(number, event) {
    // Before the welcome a number has no meaning. A number below the expected one is a repetition.
    if (this.#expected === null || number < this.#expected) return;
    if (number > this.#expected) return this.#notice(number);
    this.#expected += 1;
    this.#resume = event.id;
    if (this.#waiting !== null) {
      // What waits came before the viewer's first event, or from the server.
      if (this.#seen.has(event.id)) return this.#join([]);
      this.#waiting.set(event.id, event);
      if (this.#waiting.size > MOST_WAITING) this.#waiting.delete(this.#waiting.keys().next().value ?? '');
      return;
    }
    this.#last = event.id;
    this.#handOut(event);
  }

  /** @param {RelayEvent} event */
  #handOut(event) {
    if (this.#seen.has(event.id)) return;
    this.#seen.add(event.id);
    if (this.#seen.size > this.#remembers) this.#seen.delete(this.#seen.values().next().value);
    if (typeof event.position === 'string') this.#position = event.position;
    call(() => this.#options.onEvent(event));
  }

  /** @param {'channel' | 'events'} source */
  #tellSource(source) {
    if (this.#source === source) return;
    this.#source = source;
    call(() => this.#options.onSource?.(source));
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
