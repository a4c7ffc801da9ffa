// @ts-check
/**
 * What was accepted, and where it has arrived. Every number of the page comes from here, computed from ids and positions:
 * lost, repeated and out of order are findings, not claims.
 *
 * A message counts once it was accepted, or shown by the presenter (somebody else may have posted it). Messages up to
 * the place where the presenter's session began do not count: an earlier page showed them.
 */

/** Messages that have arrived everywhere are remembered by their ids, to recognise repeated ones: this many. */
const REMEMBERED = 20_000;

/** @typedef {{ id: string, key: string, sinceMs: number }} Message */
/** @typedef {{ arrived: number, waiting: number, lost: number, repeated: number, disordered: number }} Count */

export class Ledger {
  /** @type {Map<string, Place>} */
  #places;
  /** Those that have not arrived everywhere. @type {Map<string, Message & { missingAt: number }>} */
  #open = new Map();
  /** @type {Set<string>} */
  #closed = new Set();
  #total = 0;
  /** Messages up to here do not count. */
  #base = '';

  /** @param {string[]} places */
  constructor(places) {
    this.#places = new Map(places.map((name) => [name, new Place()]));
  }

  /** Messages that count. */
  get total() {
    return this.#total;
  }

  /** The presenter's session begins after this position. @param {string} position */
  begin(position) {
    this.#base = keyOf(position);
    for (const message of [...this.#open.values()]) if (message.key <= this.#base) this.#drop(message);
  }

  /** Ingest has accepted it. @param {{ id: string, position: string, sinceMs: number }} accepted */
  accept({ id, position, sinceMs }) {
    this.#add(id, keyOf(position), sinceMs);
  }

  /** A screen shows it. @param {string} place @param {{ id: string, position: string, at: string }} event */
  show(place, { id, position, at }) {
    const key = keyOf(position);
    this.#add(id, key, Date.parse(at));
    const found = this.#place(place);
    if (found.missing.has(id)) {
      if (key < found.reached) found.disordered.add(id);
      else found.reached = key;
    }
    this.#arrive(found, id);
  }

  /**
   * The archive lists these messages, in its order. A later message may be written first, so a gap there is a wait.
   * @param {string} place
   * @param {{ id: string, position: string }[]} listed
   */
  list(place, listed) {
    const found = this.#place(place);
    let last = '';
    const seen = new Set();
    for (const { id, position } of listed) {
      const key = keyOf(position);
      if (seen.has(id)) found.repeated.add(id);
      else if (key <= last) found.disordered.add(id);
      seen.add(id);
      last = key;
      if (found.missing.has(id)) this.#arrive(found, id);
    }
  }

  /** @param {string} place @returns {Count} */
  count(place) {
    const { missing, repeated, disordered, reached } = this.#place(place);
    let lost = 0;
    // A later one is here, and messages arrive in order.
    for (const { key } of missing.values()) if (key < reached) lost += 1;
    return {
      arrived: this.#total - missing.size,
      waiting: missing.size - lost,
      lost,
      repeated: repeated.size,
      disordered: disordered.size,
    };
  }

  /** The messages that have not arrived there. @param {string} place @returns {Message[]} */
  missing(place) {
    return [...this.#place(place).missing.values()];
  }

  /** @param {string} id @param {string} key @param {number} sinceMs */
  #add(id, key, sinceMs) {
    const known = this.#open.get(id);
    if (known && known.key !== key) {
      // Two answers about one message name different positions.
      for (const place of this.#places.values()) place.disordered.add(id);
    }
    if (known || this.#closed.has(id) || key <= this.#base) return;
    const message = { id, key, sinceMs, missingAt: this.#places.size };
    this.#open.set(id, message);
    this.#total += 1;
    for (const place of this.#places.values()) place.missing.set(id, message);
  }

  /** @param {Place} place @param {string} id */
  #arrive(place, id) {
    const message = this.#open.get(id);
    if (!message) {
      if (this.#closed.has(id)) place.repeated.add(id);
      return;
    }
    if (!place.missing.delete(id)) {
      place.repeated.add(id);
      return;
    }
    message.missingAt -= 1;
    if (message.missingAt > 0) return;
    this.#open.delete(id);
    this.#closed.add(id);
    if (this.#closed.size > REMEMBERED) this.#closed.delete(/** @type {string} */ (this.#closed.values().next().value));
  }

  /** @param {Message} message */
  #drop({ id }) {
    this.#open.delete(id);
    this.#total -= 1;
    for (const place of this.#places.values()) place.missing.delete(id);
  }

  /** @param {string} name */
  #place(name) {
    const place = this.#places.get(name);
    if (!place) throw new Error(`there is no place ${name}`);
    return place;
  }
}

class Place {
  /** @type {Map<string, Message>} */
  missing = new Map();
  /** Ids. @type {Set<string>} */
  repeated = new Set();
  /** Ids. @type {Set<string>} */
  disordered = new Set();
  /** The key of the latest message. */
  reached = '';
}

/**
 * A position is `epoch-sequence-index` in hexadecimal. Keys order as positions do.
 * @param {string} position
 */
export function keyOf(position) {
  return position.split('-').map((number) => number.padStart(16, '0')).join('-');
}
