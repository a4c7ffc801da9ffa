// @ts-check
/** What a moderator sees of a room while it runs: its messages and decisions, in order, with deletions applied. */

/** @typedef {import('./message-row.js').Message} Message */
/**
 * @typedef {{ kind: 'message', message: Message, isPending?: boolean, note?: string, reports?: number }} MessageItem
 */
/** @typedef {'waiting' | 'released' | 'denied' | 'ended'} HoldState */
/**
 * @typedef {{ kind: 'held', message: Message, until: string, state: HoldState, by?: any, reason?: string }} HeldItem
 */
/** @typedef {{ kind: 'decision', event: any }} DecisionItem */
/** @typedef {{ kind: 'gap' }} GapItem */
/** @typedef {MessageItem | HeldItem | DecisionItem | GapItem} Item */

/** The rate is that of the last ten seconds. */
const RATE_SECONDS = 10;

/** A message that is older on arrival was sent before we connected: it is not part of the rate. */
const OLD_MS = 15_000;

/** A deployment has a few labels. */
const MAX_LABELS = 100;

export class LiveRoom {
  /** @type {Map<string, MessageItem>} */
  #messages = new Map();
  /** When messages arrived, of the last ten seconds. @type {number[]} */
  #arrivals = [];
  /** Messages that wait for a moderator. @type {Map<string, HeldItem>} */
  #held = new Map();
  /** Ids whose hold has ended. */
  #decided = new Set();
  /** Messages with open reports, and the number of each author. @type {Map<string, string>} */
  #reported = new Map();
  /** Messages whose reports were closed: the archive may list them as open a moment longer. @type {Set<string>} */
  #closed = new Set();
  /** Messages that a sweep has deleted, by its id. The event of the sweep follows them. @type {Map<string, number>} */
  #swept = new Map();
  /** The pinned message, while a sweep hides it. @type {string | null} */
  #sweptPin = null;
  /** The id of the pinned message. @type {string | null} */
  pinned = null;
  /** Flags that messages have or had. @type {Set<string>} */
  labels = new Set();

  get held() {
    return [...this.#held.values()];
  }

  get reported() {
    return this.#reported.size;
  }

  /** @returns {Iterable<Message>} */
  *messages() {
    for (const { message } of this.#messages.values()) yield message;
  }

  /** @param {string} id */
  message(id) {
    return this.#messages.get(id)?.message;
  }

  /**
   * Applies an event. Returns the item to append, if any, and the items that it changed.
   * @param {any} event @returns {{ item: Item | null, changed: Item[] }}
   */
  apply(event) {
    const { type, target } = event;
    if (type === 'message.posted' || type === 'notice.posted') {
      return { item: this.#posted(event), changed: this.#endHold(event.id, 'released') };
    }
    if (type === 'message.held') return { item: this.#hold(event), changed: [] };
    if (type === 'message.denied') {
      const changed = this.#endHold(target, 'denied', event);
      return { item: changed.length > 0 ? null : { kind: 'decision', event }, changed };
    }
    if (type === 'message.deleted') return { item: null, changed: this.#deleted(event) };
    if (type === 'message.restored') return { item: null, changed: this.#restored(event) };
    if (type === 'message.reported') return { item: null, changed: this.#report(target) };
    if (type === 'report.closed') return { item: { kind: 'decision', event }, changed: this.#closeReports(target) };
    if (type === 'room.swept') return { item: this.#sweep(event), changed: [] };
    if (type === 'message.pinned') [this.pinned, this.#sweptPin] = [target, null];
    if (type === 'message.unpinned') this.pinned = this.#sweptPin = null;
    return this.#decision(event);
  }

  /** Adds holds that the server listed. @param {any[]} holds */
  addHolds(holds) {
    for (const hold of holds) {
      const isKnown = this.#held.has(hold.id) || this.#decided.has(hold.id) || this.#messages.has(hold.id);
      if (!isKnown) this.#hold({ ...hold, target: hold.id });
    }
  }

  /** Adds reported messages that the server listed. @param {any[]} reports */
  addReports(reports) {
    const open = reports.filter(({ message }) => !this.#closed.has(message.id));
    for (const { message } of open) this.#reported.set(message.id, String(message.user.idx));
  }

  /** Ends the holds whose time is over. @returns {Item[]} */
  expire(now = Date.now()) {
    const over = this.held.filter(({ until }) => Date.parse(until) <= now);
    return over.flatMap(({ message }) => this.#endHold(message.id, 'ended'));
  }

  /** @param {any} event @returns {DecisionItem} */
  #sweep(event) {
    const messages = this.#swept.get(event.id);
    this.#swept.delete(event.id);
    return { kind: 'decision', event: { ...event, messages } };
  }

  /** @param {any} event @returns {{ item: Item, changed: Item[] }} */
  #decision(event) {
    const isCleared = event.type === 'room.cleared';
    const isErased = event.type === 'user.erased';
    const erased = String(event.user?.idx ?? event.user);
    const purgedSince = Date.parse(event.at) - (event.purgeSeconds ?? NaN) * 1_000;
    const isHidden = (/** @type {MessageItem | HeldItem} */ { message }) => {
      if (message.deleted) return false;
      const isTheirs = String(message.user.idx) === erased;
      return isCleared || (isTheirs && (isErased || Date.parse(message.sentAt) >= purgedSince));
    };
    const changed = [...this.#messages.values()].filter(isHidden);
    for (const item of changed) {
      hide(item, event);
      if (isErased) item.message.user = { ...item.message.user, nickname: '' };
    }
    const ended = this.held.filter(isHidden).flatMap(({ message }) => this.#endHold(message.id, 'ended'));
    // The pin of a message that is gone is shown no more, though only a deletion and a clear unpin.
    if (isCleared) this.#sweptPin = null;
    if (isCleared || changed.some(({ message }) => message.id === this.pinned)) this.pinned = null;
    const closed = [...this.#reported].filter(([, author]) => {
      return isCleared || ((isErased || isBannedHere(event)) && author === erased);
    });
    const reported = closed.flatMap(([id]) => this.#closeReports(id));
    return { item: { kind: 'decision', event }, changed: [...changed, ...ended, ...reported] };
  }

  /** @param {any} event @returns {HeldItem} */
  #hold({ target, user, text, at, until, flags, replyTo, attributes, emotes }) {
    const message = { id: target, user, text, sentAt: at, flags, replyTo, attributes, emotes };
    /** @type {HeldItem} */
    const item = { kind: 'held', message, until, state: 'waiting' };
    this.#held.set(target, item);
    return item;
  }

  /** @param {string} id @param {HoldState} state @param {{ by?: any, reason?: string }} [decision] */
  #endHold(id, state, { by, reason } = {}) {
    const item = this.#held.get(id);
    if (!item) return [];
    this.#held.delete(id);
    this.#decided.add(id);
    Object.assign(item, { state, by, reason });
    // Only a release shows the text again, in its own place.
    item.message = { ...item.message, text: undefined };
    return [item];
  }

  /** @param {string} id */
  #report(id) {
    this.#closed.delete(id);
    const item = this.#messages.get(id);
    this.#reported.set(id, String(item?.message.user.idx));
    if (!item) return [];
    item.reports = (item.reports ?? 0) + 1;
    return [item];
  }

  /** @param {string} id */
  #closeReports(id) {
    this.#closed.add(id);
    this.#reported.delete(id);
    const item = this.#messages.get(id);
    if (!item?.reports) return [];
    item.reports = 0;
    return [item];
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
  #posted({ type, id, position, user, text, at, flags, replyTo, attributes, emotes, deleted }) {
    if (Date.now() - Date.parse(at) < OLD_MS) this.#arrivals.push(Date.now());
    for (const flag of flags ?? []) if (this.labels.size < MAX_LABELS) this.labels.add(flag);
    /** @type {MessageItem} */
    const item = {
      kind: 'message',
      message: {
        id,
        position,
        user,
        text,
        sentAt: at,
        flags,
        replyTo,
        attributes,
        emotes,
        notice: type === 'notice.posted',
        deleted: deleted ? {} : null,
      },
    };
    this.#messages.set(id, item);
    return item;
  }

  /** @param {any} event */
  #deleted(event) {
    const { target, sweep } = event;
    if (sweep) this.#swept.set(sweep, (this.#swept.get(sweep) ?? 0) + 1);
    // A sweep unpins nothing: once it is undone, the pin is shown again.
    if (sweep && this.pinned === target) this.#sweptPin = target;
    if (!sweep && this.#sweptPin === target) this.#sweptPin = null;
    if (this.pinned === target) this.pinned = null;
    const ended = this.#endHold(target, 'ended');
    this.#closeReports(target);
    const item = this.#messages.get(target);
    if (!item) return ended;
    hide(item, event);
    return [item, ...ended];
  }

  /** @param {any} event */
  #restored({ target, message }) {
    if (this.#sweptPin === target) [this.pinned, this.#sweptPin] = [target, null];
    const item = this.#messages.get(target);
    if (!item) return [];
    item.isPending = false;
    item.note = undefined;
    if (!message) return [item];
    const { text, flags, replyTo, attributes, emotes } = message;
    item.message = { ...item.message, text, flags, replyTo, attributes, emotes, deleted: null };
    return [item];
  }
}

/** @param {MessageItem} item @param {any} event */
function hide(item, { by, reason, sweep }) {
  item.isPending = false;
  item.note = undefined;
  const deleted = { by, reason, sweep };
  const gone = { text: undefined, flags: [], replyTo: undefined, attributes: undefined, emotes: undefined };
  item.message = { ...item.message, ...gone, deleted };
}

/** A ban from this room closes the reports of its user's messages. @param {any} event */
function isBannedHere({ type, presenterIdx }) {
  return type === 'user.banned' && presenterIdx !== undefined;
}
