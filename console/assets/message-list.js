// @ts-check
/**
 * A list of any length of which only the visible rows are in the document. It stays at its end while new items arrive,
 * until the user scrolls up. A list that pauses also stands still while the pointer is over it, or a key or a finger has
 * chosen a row: what the user is about to press stays where it is. Rows may have any height: one is estimated until it
 * was measured.
 */

import { h } from './dom.js';
import { t } from './i18n.js';

/**
 * `height` is the last one, or an estimate, until it is measured. `top`: where its row is.
 * @typedef {{ item: any, height: number, isMeasured: boolean, row: HTMLElement | null, top: number }} Entry
 */

/** Pixels of a row that was never shown. */
const ESTIMATE = 28;

/** Rows beyond each edge of what is visible. */
const MARGIN = 12;

/** Items that are dropped together, so that dropping is rare. */
const DROPPED = 1_000;

/** Pixels from the end that still count as the end. */
const TOLERANCE = 24;

/** A page that is not painted has no animation frames. */
const LATEST_FRAME_MS = 100;

export class MessageList {
  #render;
  #max;
  #follows;
  #pauses;
  #onUnseen;
  /** @type {Entry[]} */
  #entries = [];
  /** @type {Map<any, Entry>} */
  #byItem = new Map();
  /** @type {Set<Entry>} */
  #shown = new Set();
  #inner = h('div', { class: 'list-inner' });
  #atEnd = true;
  /** Where we have scrolled to: any other place is the user's. */
  #placed = -1;
  #isPointed = false;
  /** Whether a row got the focus by the mouse. Then the pointer says whether it is still of interest. */
  #isByMouse = false;
  #unseen = 0;
  #width = 0;
  #height = 0;
  #isScheduled = false;
  #resizes = new ResizeObserver(() => this.#schedule());

  /**
   * @param {{ render: (item: any) => HTMLElement, label: string, follows?: boolean, pauses?: boolean, max?: number,
   *   onUnseen?: (count: number) => void, onKey?: (item: any, key: string) => boolean | void, keys?: string }} options
   *   `follows`: it stays at its end. `pauses`: but not while the user is about to press something. `max`: more items
   *   than that drop the oldest. `onUnseen` is told how many have arrived below what is visible. `onKey` has the item
   *   whose row has the focus, and `keys` says what it does.
   */
  constructor({ render, label, follows, pauses, max = Infinity, onUnseen = () => {}, onKey = () => {}, keys = '' }) {
    this.#render = render;
    this.#max = max;
    this.#follows = this.#atEnd = follows ?? false;
    this.#pauses = pauses ?? false;
    this.#onUnseen = onUnseen;
    this.element = h('div', { class: 'list', role: 'list', tabindex: '0', 'aria-label': label }, this.#inner);
    this.describeKeys(keys);
    this.element.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.element.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => this.#key(event, onKey));
    if (pauses) this.#watchPointer();
    this.#resizes.observe(this.element);
  }

  get length() {
    return this.#entries.length;
  }

  /** @returns {any[]} */
  get items() {
    return this.#entries.map(({ item }) => item);
  }

  /** Adds items at the end. Returns those that were dropped at the beginning. @param {any[]} items @returns {any[]} */
  append(items) {
    for (const item of items) {
      const entry = { item, height: ESTIMATE, isMeasured: false, row: null, top: -1 };
      this.#entries.push(entry);
      this.#byItem.set(item, entry);
    }
    if (!this.#isFollowing() && items.length > 0) this.#tellUnseen(this.#unseen + items.length);
    this.#schedule();
    return this.#entries.length > this.#max + DROPPED ? this.#drop(this.#entries.length - this.#max) : [];
  }

  /** @param {any[]} items */
  reset(items) {
    for (const entry of this.#shown) entry.row?.remove();
    this.#shown.clear();
    this.#byItem.clear();
    this.#entries = [];
    this.#atEnd = this.#follows;
    this.#tellUnseen(0);
    this.#place(0);
    this.append(items);
  }

  /** The item has changed. @param {any} item */
  update(item) {
    const entry = this.#byItem.get(item);
    if (!entry) return;
    entry.isMeasured = false;
    if (entry.row) {
      const hadFocus = entry.row.contains(document.activeElement);
      const row = this.#row(entry);
      entry.row.replaceWith(row);
      entry.row = row;
      if (hadFocus) row.focus({ preventScroll: true });
    }
    this.#schedule();
  }

  /** Every item may have changed. */
  updateAll() {
    for (const { item } of this.#entries) this.update(item);
  }

  /** The items whose rows are in the document. @returns {Iterable<[any, HTMLElement]>} */
  *rows() {
    for (const { item, row } of this.#shown) if (row) yield [item, row];
  }

  /** What stands in place of no items. @param {string} text */
  whenEmpty(text) {
    this.#inner.dataset.empty = text;
  }

  /** What keys do beside moving. @param {string} keys */
  describeKeys(keys) {
    this.element.setAttribute('aria-description', `${t('list.keys')} ${keys}`.trim());
  }

  toEnd() {
    this.#atEnd = true;
    this.#isPointed = false;
    if (this.#inner.contains(document.activeElement)) this.element.focus({ preventScroll: true });
    this.#schedule();
  }

  close() {
    this.#resizes.disconnect();
  }

  /** @param {number} count */
  #drop(count) {
    const dropped = this.#entries.splice(0, count);
    let height = 0;
    for (const entry of dropped) {
      height += entry.height;
      entry.row?.remove();
      this.#shown.delete(entry);
      this.#byItem.delete(entry.item);
    }
    if (!this.#isFollowing()) this.#place(this.element.scrollTop - height);
    return dropped.map(({ item }) => item);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    if (scrollTop === this.#placed) return;
    // The browser scrolls when the list changes its size. That is not the user.
    if (clientHeight !== this.#height) return this.#schedule();
    this.#placed = scrollTop;
    this.#atEnd = this.#follows && scrollTop + clientHeight >= scrollHeight - TOLERANCE;
    if (this.#atEnd) this.#tellUnseen(0);
    this.#schedule();
  }

  #watchPointer() {
    const { element } = this;
    element.addEventListener('pointermove', (/** @type {PointerEvent} */ { pointerType }) => {
      if (pointerType !== 'touch') this.#isPointed = true;
    });
    element.addEventListener('pointerleave', () => {
      this.#isPointed = false;
      this.#schedule();
    });
    element.addEventListener('pointerdown', (/** @type {PointerEvent} */ { pointerType }) => {
      this.#isByMouse = pointerType !== 'touch';
    });
    element.addEventListener('focusout', () => this.#schedule());
  }

  /** Whether new items move the list. */
  #isFollowing() {
    const isChosen = this.#pauses && !this.#isByMouse && this.#inner.contains(document.activeElement);
    return this.#atEnd && !this.#isPointed && !isChosen;
  }

  /** @param {number} top */
  #place(top) {
    this.element.scrollTop = top;
    this.#placed = this.element.scrollTop;
  }

  /** @param {number} count */
  #tellUnseen(count) {
    if (this.#unseen === count) return;
    this.#unseen = count;
    this.#onUnseen(count);
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const run = () => {
      if (!this.#isScheduled) return;
      this.#isScheduled = false;
      this.#layout();
    };
    requestAnimationFrame(run);
    setTimeout(run, LATEST_FRAME_MS);
  }

  #layout() {
    const { clientHeight, clientWidth } = this.element;
    if (clientHeight === 0) return;
    this.#height = clientHeight;
    if (clientWidth !== this.#width) {
      this.#width = clientWidth;
      for (const entry of this.#entries) entry.isMeasured = false;
    }
    let offsets = this.#offsets();
    const isFollowing = this.#isFollowing();
    if (isFollowing) this.#tellUnseen(0);
    // Measuring what comes into view moves what is below it, and may bring more into view.
    for (let pass = 0; pass < 3; pass++) {
      const total = offsets[this.#entries.length];
      const top = isFollowing ? Math.max(0, total - clientHeight) : this.element.scrollTop;
      const first = this.#at(offsets, top);
      const from = Math.max(0, first - MARGIN);
      const to = Math.min(this.#entries.length, this.#at(offsets, top + clientHeight) + 1 + MARGIN);
      const isMeasured = this.#mount(from, to);
      if (isMeasured) break;
      const moved = this.#offsets();
      // Before the place moves: the browser allows no place beyond the end.
      this.#inner.style.height = `${moved[this.#entries.length]}px`;
      if (!isFollowing && first < this.#entries.length && moved[first] !== offsets[first]) {
        this.#place(this.element.scrollTop + moved[first] - offsets[first]);
      }
      offsets = moved;
    }
    this.#inner.style.height = this.#entries.length > 0 ? `${offsets[this.#entries.length]}px` : '';
    for (let at = 0; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      // Untouched rows cost the browser nothing.
      if (!entry.row || entry.top === offsets[at]) continue;
      entry.row.style.transform = `translateY(${offsets[at]}px)`;
      entry.top = offsets[at];
    }
    if (isFollowing) this.#place(this.element.scrollHeight);
  }

  /** Where each row begins, and at last where the list ends. */
  #offsets() {
    const offsets = new Float64Array(this.#entries.length + 1);
    for (let at = 0; at < this.#entries.length; at++)
      offsets[at + 1] = offsets[at] + this.#entries[at].height;
    return offsets;
  }

  /** The row at that height. @param {Float64Array} offsets @param {number} y */
  #at(offsets, y) {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (offsets[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Puts exactly these rows into the document. Returns whether all heights were known.
   * @param {number} from @param {number} to
   */
  #mount(from, to) {
    const wanted = new Set(this.#entries.slice(from, to));
    for (const entry of this.#shown) {
      // A row with the focus stays, so that the keyboard does not lose its place.
      if (wanted.has(entry) || entry.row?.contains(document.activeElement)) continue;
      entry.row?.remove();
      entry.row = null;
      this.#shown.delete(entry);
    }
    let next = this.#inner.firstElementChild;
    for (const entry of wanted) {
      if (!entry.row) {
        entry.row = this.#row(entry);
        this.#inner.insertBefore(entry.row, next);
        this.#shown.add(entry);
      }
      next = entry.row.nextElementSibling;
    }
    const unknown = [...wanted].filter(({ isMeasured }) => !isMeasured);
    // First every read, then every write: one layout of the browser for all of them.
    const heights = unknown.map(({ row }) => row?.getBoundingClientRect().height || ESTIMATE);
    unknown.forEach((entry, at) => Object.assign(entry, { height: heights[at], isMeasured: true }));
    return unknown.length === 0;
  }

  /** @param {Entry} entry */
  #row(entry) {
    const row = this.#render(entry.item);
    row.setAttribute('role', 'listitem');
    entry.top = -1;
    row.tabIndex = -1;
    row.classList.add('row');
    // The list is one stop for the Tab key; the arrow keys move within it.
    for (const control of row.querySelectorAll('button, a')) control.setAttribute('tabindex', '-1');
    return row;
  }

  /** @param {KeyboardEvent} event @param {(item: any, key: string) => boolean | void} onKey */
  #key(event, onKey) {
    this.#isByMouse = false;
    const focused = this.#entries.findIndex(({ row }) => row && row.contains(document.activeElement));
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (aside && focused >= 0) {
      event.preventDefault();
      this.#moveWithin(this.#entries[focused].row, aside);
    } else if (step) {
      const visible = this.#entries.findIndex(({ row }) => row !== null);
      const from = focused >= 0 ? focused + step : this.#follows ? this.#entries.length - 1 : visible;
      const row = this.#entries[from]?.row;
      if (!row) return;
      event.preventDefault();
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'End') {
      this.toEnd();
    } else if (focused >= 0 && event.target === this.#entries[focused].row) {
      if (onKey(this.#entries[focused].item, event.key)) event.preventDefault();
    }
  }

  /** From the row to what can be done with it, and back. @param {HTMLElement | null} row @param {number} step */
  #moveWithin(row, step) {
    if (!row) return;
    /** @type {NodeListOf<HTMLElement>} */
    const controls = row.querySelectorAll('button:enabled, a');
    const stops = [row, ...controls];
    const at = stops.findIndex((stop) => stop === document.activeElement);
    stops[at + step]?.focus({ preventScroll: true });
  }
}
