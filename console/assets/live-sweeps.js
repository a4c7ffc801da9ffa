// @ts-check
/** Sweeps in the live view: the panel that chooses, its marks in the stream, and the bar of those that can be undone. */

import { get } from './api.js';
import { t } from './i18n.js';
import { SweepBar } from './sweep-bar.js';
import { catchUp } from './sweep-catch-up.js';
import { SweepPanel } from './sweep-panel.js';

/** After a sweep: the archive takes a moment, and longer if it is behind. */
const CATCH_UP_MS = [3_000, 30_000];

/** @typedef {import('./message-row.js').Message} Message */
/**
 * @typedef {{ room: string, signal: AbortSignal, live: import('./live-room.js').LiveRoom,
 *   list: import('./message-list.js').MessageList, apply: (event: any) => void, fail: (error: unknown) => void,
 *   showPanel: (content: HTMLElement) => void, closePanel: () => void, onMode: () => void }} View
 *   `apply` takes an event of the room. `onMode`: the panel was opened or closed
 */

export class LiveSweeps {
  #view;
  /** While its panel is open. @type {SweepPanel | null} */
  #panel = null;
  bar;

  /** @param {View} view */
  constructor(view) {
    this.#view = view;
    const { room, signal, list } = view;
    this.bar = new SweepBar({ room, signal, onUndone: () => list.element.focus() });
    signal.addEventListener('abort', () => this.#panel?.close());
  }

  get isChoosing() {
    return this.#panel !== null;
  }

  /** Opens the panel, with a text to begin with. @param {string} [text] */
  open(text) {
    const { room, live, showPanel, closePanel } = this.#view;
    const panel = new SweepPanel({
      room,
      labels: live.labels,
      messages: () => live.messages(),
      onChange: () => this.#showChosen(),
      onSwept: () => (closePanel(), this.bar.open()),
      onClose: closePanel,
    });
    showPanel(panel.element);
    this.#change(panel);
    if (text) panel.toggleText(text);
  }

  /** Another panel is shown. */
  leave() {
    this.#change(null);
  }

  /** What a row offers while the panel is open. @param {Message} message */
  actions(message) {
    return this.#panel?.actions(message) ?? [];
  }

  /** @param {Message} message */
  toggleText({ text }) {
    if (text !== undefined) this.#panel?.toggleText(text);
  }

  /** Shows whether the sweep would delete the message. @param {HTMLElement} row @param {Message} message */
  mark(row, message) {
    if (!this.#panel?.marks?.has(message)) return;
    row.classList.add('is-marked');
    row.setAttribute('aria-description', t('sweep.isMarked'));
  }

  /** @param {Message} message */
  arrived(message) {
    if (this.#panel?.marks?.has(message)) this.#panel.arrived();
  }

  /** A sweep, or its undoing. @param {any} event @param {boolean} mayModerate */
  swept(event, mayModerate) {
    const { room, signal, live, apply, fail } = this.#view;
    this.bar.apply(event);
    if (!mayModerate) return;
    const path = `/v1/rooms/${room}/messages`;
    const search = (/** @type {any} */ query) => get('archive', path, { query, signal });
    const read = () => catchUp({ event, live, search, apply }).catch(fail);
    for (const ms of CATCH_UP_MS) setTimeout(() => !signal.aborted && read(), ms);
  }

  /** @param {SweepPanel | null} panel */
  #change(panel) {
    if (panel === this.#panel) return;
    this.#panel?.close();
    this.#panel = panel;
    this.#view.list.updateAll();
    this.#view.onMode();
  }

  /** Other messages are chosen or marked: each row offers and shows that. */
  #showChosen() {
    const { list } = this.#view;
    for (const [item] of [...list.rows()]) if (item.kind === 'message') list.update(item);
  }
}
