// @ts-check
/**
 * The presenter's end of the data channels: numbers the events and forwards them to every viewer, each at its own pace.
 * It keeps the latest events once, and a viewer is a cursor into them: a slow viewer holds up nobody and costs no
 * memory, a late one begins some events back, one that reconnects goes on where it was. Whoever falls behind what is
 * kept is told of the gap. `viewer.js` is the other end. The room's settings stay here: its own words are not for viewers.
 */

/** @typedef {import('./relay.d.ts').RelayEvent} RelayEvent */
/** @typedef {{ event: RelayEvent, pieces: (string | Uint8Array<ArrayBuffer>)[], bytes: number }} Kept */
/** @typedef {{ channel: RTCDataChannel, cursor: number | null, moves: boolean, listen: AbortController }} Viewer */

/** The largest message that every browser takes from every other on a data channel: 64 KB. */
const SAFE_BYTES = 64 * 1024;

/** Before each part of a larger one stand its event's number (32 bits), its own and their count (16 bits each). */
const PART_HEADER_BYTES = 8;

/** What a channel may hold unsent: enough to keep the line busy. It asks for more when it falls below the second. */
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;

/** A viewer to whom nothing can be sent for so long does not set the pace any more. */
const STALL_MS = 1_000;

/** A viewer says next to nothing; whatever is longer is not for us. */
const MAX_HEARD_CHARACTERS = 1024;

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
  /** The latest events by number, `#oldest` to just before `#next`. @type {Map<number, Kept>} */
  #kept = new Map();
  #oldest = 1;
  #next = 1;
  #bytes = 0;
  /** The numbers of the kept events, by id. @type {Map<string, number>} */
  #numbers = new Map();
  /** @type {Set<Viewer>} */
  #viewers = new Set();
  /** Resolved when the viewers have caught up; null while they are. @type {{ ends: Promise<void>, end(): void } | null} */
  #pause = null;

  /** @param {import('./relay.d.ts').RelayOptions} [options] */
  constructor({ history = 100, maxEvents = 2_000, maxBytes = 4 * 1024 * 1024 } = {}) {
    this.#history = history;
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  get viewers() {
    return this.#viewers.size;
  }

  /**
   * Forwards an event to every viewer. It can be handed over as it is: `onEvent: relay.send`.
   *
   * After an outage events may come faster than any channel takes them. The promise, where one is returned, makes the
   * source wait for the fastest viewer, so that not all of them miss what is more than is kept. Slower ones do not count.
   * @param {RelayEvent} event
   */
  send = (event) => {
    if (event.type === 'room.updated') return this.#pause?.ends;
    this.#forget(event);
    const number = this.#next++;
    this.#keep(number, event);
    this.#numbers.set(event.id, number);
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
   * Serves a viewer from now on, until the channel closes. The channel may be connecting still.
   * @param {RTCDataChannel} channel
   */
  add(channel) {
    /** @type {Viewer} */
    const viewer = { channel, cursor: null, moves: true, listen: new AbortController() };
    const { signal } = viewer.listen;
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    channel.addEventListener('bufferedamountlow', () => this.#pump(viewer), { signal });
    channel.addEventListener('message', ({ data }) => this.#hear(viewer, data), { signal });
    channel.addEventListener('close', () => this.#remove(viewer), { signal });
    this.#viewers.add(viewer);
  }

  /** Closes every channel. */
  close() {
    for (const viewer of this.#viewers) {
      this.#remove(viewer);
      viewer.channel.close();
    }
  }

  /** What was deleted is not told to who comes later, nor anything of who was erased. @param {RelayEvent} event */
  #forget(event) {
    if (event.type === 'message.deleted') {
      const number = this.#numbers.get(/** @type {string} */ (event.target));
      if (number !== undefined) this.#redact(number);
    } else if (event.type === 'room.cleared') {
      for (const number of this.#kept.keys()) this.#redact(number);
    } else if (event.type === 'user.erased') {
      for (const [number, { event: kept }] of this.#kept) {
        const author = /** @type {{ idx?: number } | undefined} */ (kept.user)?.idx;
        if (kept.type !== 'message.posted' || author !== event.user) continue;
        // The id stays, so that a viewer whose last event it was goes on where it was.
        this.#replace(number, { id: kept.id, type: 'message.erased' });
      }
    }
  }

  /** @param {number} number */
  #redact(number) {
    const { event } = /** @type {Kept} */ (this.#kept.get(number));
    if (event.type !== 'message.posted') return;
    const { text, flags, ...rest } = event;
    this.#replace(number, { ...rest, deleted: true });
  }

  /** @param {number} number @param {RelayEvent} event */
  #replace(number, event) {
    this.#bytes -= /** @type {Kept} */ (this.#kept.get(number)).bytes;
    this.#keep(number, event);
  }

  /** @param {number} number @param {RelayEvent} event */
  #keep(number, event) {
    const text = JSON.stringify({ type: 'event', number, event });
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
    if (frame?.type !== 'start') return;
    const known = this.#numbers.get(frame.after);
    if (known !== undefined) {
      viewer.cursor = known + 1;
    } else if (typeof frame.after === 'string') {
      // It has seen an event that is not kept any more, or was another relay's. What it has seen of ours, it will know.
      viewer.cursor = this.#oldest;
    } else {
      viewer.cursor = Math.max(this.#oldest, this.#next - this.#history);
    }
    const recovered = known !== undefined || typeof frame.after !== 'string';
    this.#transmit(viewer, [JSON.stringify({ type: 'welcome', next: viewer.cursor, recovered })]);
    this.#pump(viewer);
  }

  /** Sends what the viewer has not got, as much as its channel takes at the moment. @param {Viewer} viewer */
  #pump(viewer) {
    // Closing a whole peer connection closes its channels without an event.
    if (viewer.channel.readyState === 'closed') return this.#remove(viewer);
    if (viewer.cursor === null) return;
    while (viewer.cursor < this.#next && viewer.channel.bufferedAmount <= HIGH_WATER_BYTES) {
      if (viewer.cursor < this.#oldest) {
        const gap = { type: 'gap', from: viewer.cursor, to: this.#oldest - 1 };
        if (!this.#transmit(viewer, [JSON.stringify(gap)])) return;
        viewer.cursor = this.#oldest;
      }
      const { pieces } = /** @type {Kept} */ (this.#kept.get(viewer.cursor));
      if (!this.#transmit(viewer, pieces)) return;
      viewer.cursor += 1;
      viewer.moves = true;
    }
    if (this.#pause && !this.#allLag()) this.#pause.end();
  }

  /** Whether even the fastest viewer has not got half of what is kept, and what is kept grows near its bounds. */
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

  /** @param {Viewer} viewer @param {(string | Uint8Array<ArrayBuffer>)[]} pieces */
  #transmit(viewer, pieces) {
    try {
      for (const piece of pieces) viewer.channel.send(/** @type {any} */ (piece));
      return true;
    } catch {
      // It closes at this moment. The viewer comes back on another channel, and says where it was.
      this.#remove(viewer);
      return false;
    }
  }

  /** @param {Viewer} viewer */
  #remove(viewer) {
    viewer.listen.abort();
    this.#viewers.delete(viewer);
    if (this.#pause && !this.#allLag()) this.#pause.end();
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
