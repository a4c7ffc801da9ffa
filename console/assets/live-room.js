// @ts-check
/** What a moderator sees of a room while it runs: its messages and decisions, in order, with deletions applied. */

/** @typedef {import('./message-row.js').Message} Message */
/** @typedef {{ kind: 'message', message: Message, isPending?: boolean, note?: string }} MessageItem */
/** @typedef {{ kind: 'decision', event: any }} DecisionItem */
/** @typedef {{ kind: 'gap' }} GapItem */
/** @typedef {MessageItem | DecisionItem | GapItem} Item */

/** The rate is that of the last ten seconds. */
const RATE_SECONDS = 10;

/** A message that is older on arrival was sent before we connected: it is not part of the rate. */
const OLD_MS = 15_000;

export class LiveRoom {
  /** @type {Map<string, MessageItem>} */
  #messages = new Map();
  /** When messages arrived, of the last ten seconds. @type {number[]} */
  #arrivals = [];

  /**
   * Applies an event. Returns the item to append, if any, and the items that it changed.
   * @param {any} event @returns {{ item: Item | null, changed: MessageItem[] }}
   */
  apply(event) {
    if (event.type === 'message.posted') return { item: this.#posted(event), changed: [] };
    if (event.type === 'message.deleted') return { item: null, changed: this.#deleted(event) };
    if (event.type === 'message.restored') return { item: null, changed: this.#restored(event) };
    const isCleared = event.type === 'room.cleared';
    const isErased = event.type === 'user.erased';
    const erased = String(event.user?.idx ?? event.user);
    const purgedSince = Date.parse(event.at) - (event.purgeSeconds ?? NaN) * 1_000;
    const changed = [...this.#messages.values()].filter(({ message }) => {
      if (message.deleted) return false;
      const isTheirs = String(message.user.idx) === erased;
      return isCleared || (isTheirs && (isErased || Date.parse(message.sentAt) >= purgedSince));
    });
    for (const item of changed) {
      hide(item, event);
      if (isErased) item.message.user = { ...item.message.user, nickname: '' };
    }
    return { item: { kind: 'decision', event }, changed };
  }

  /** @param {Item[]} items that are shown no more */
  forget(items) {
    for (const item of items) if (item.kind === 'message') this.#messages.delete(item.message.id);
  }

  /** Messages a second. */
  rate(now = Date.now()) {
    while (this.#arrivals[0] <= now - RATE_SECONDS * 1_000) this.#arrivals.shift();
    return this.#arrivals.length / RATE_SECONDS;
  }

  /** @param {any} event @returns {MessageItem} */
  #posted({ id, user, text, at, flags, deleted }) {
    if (Date.now() - Date.parse(at) < OLD_MS) this.#arrivals.push(Date.now());
    /** @type {MessageItem} */
    const item = { kind: 'message', message: { id, user, text, sentAt: at, flags, deleted: deleted ? {} : null } };
    this.#messages.set(id, item);
    return item;
  }

  /** @param {any} event */
  #deleted(event) {
    const item = this.#messages.get(event.target);
    if (!item) return [];
    hide(item, event);
    return [item];
  }

  /** @param {any} event */
  #restored({ target, message }) {
    const item = this.#messages.get(target);
    if (!item) return [];
    item.isPending = false;
    item.note = undefined;
    if (!message) return [item];
    const { text, flags } = message;
    item.message = { ...item.message, text, flags, deleted: null };
    return [item];
  }
}

/** @param {MessageItem} item @param {any} event */
function hide(item, { by, reason }) {
  item.isPending = false;
  item.note = undefined;
  item.message = { ...item.message, text: undefined, flags: [], deleted: { by, reason } };
}
