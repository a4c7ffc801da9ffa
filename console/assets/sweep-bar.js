// @ts-check
/** The sweeps of a room that can be undone, above the stream, the latest first. */

import { fill, h, userText } from './dom.js';
import { hourMinute, number } from './format.js';
import { t } from './i18n.js';
import { nameOf, rowAction } from './message-row.js';
import { sweeps, undoSweep } from './moderation.js';
import { Outcome } from './outcome.js';
import { describe } from './sweep-rule.js';

/** 12 hours, for a sweep that was seen in the stream and is not in the list yet. */
const UNDOABLE_MS = 12 * 60 * 60 * 1_000;

/** @typedef {{ id: string, at: string, undoableUntil: string, by?: any, reason?: string, secondsBack?: number,
 *   rule?: import('./sweep-rule.js').Rule }} Sweep */

export class SweepBar {
  #room;
  #signal;
  #onUndone;
  #mayModerate = false;
  /** @type {Map<string, Sweep>} */
  #sweeps = new Map();
  /** Ids: a list may have them a moment longer. @type {Set<string>} */
  #undone = new Set();
  #summary = h('summary', {});
  #items = h('ul', { class: 'queue' });
  #outcome = new Outcome();
  element = h('details', { class: 'sweeps', hidden: true }, this.#summary, this.#items, this.#outcome.element);

  /** @param {{ room: string, signal: AbortSignal, onUndone: () => void }} options */
  constructor({ room, signal, onUndone }) {
    this.#room = room;
    this.#signal = signal;
    this.#onUndone = onUndone;
  }

  /** The user may moderate: what was swept before the events of the stream. */
  allow() {
    this.#mayModerate = true;
    return this.#load();
  }

  /** @param {any} event @returns {void} */
  apply({ type, id, target, at, by, reason, secondsBack }) {
    if (type === 'sweep.undone') {
      this.#undone.add(target);
      this.#sweeps.delete(target);
    } else if (!this.#undone.has(id)) {
      const undoableUntil = new Date(Date.parse(at) + UNDOABLE_MS).toISOString();
      this.#sweeps.set(id, { id, at, undoableUntil, by, reason, secondsBack, ...this.#sweeps.get(id) });
      if (this.#mayModerate) this.#load();
    }
    this.#show();
  }

  /** Events may be missing. */
  reload() {
    this.#sweeps.clear();
    if (this.#mayModerate) this.#load();
  }

  /** Removes those whose time is over. */
  expire(now = Date.now()) {
    const over = [...this.#sweeps.values()].filter(({ undoableUntil }) => Date.parse(undoableUntil) <= now);
    for (const { id } of over) this.#sweeps.delete(id);
    if (over.length > 0) this.#show();
  }

  /** Shows them all, so that the latest can be undone at once. */
  open() {
    this.element.open = true;
  }

  async #load() {
    try {
      const { sweeps: listed } = await sweeps(this.#room, { signal: this.#signal });
      for (const sweep of listed) if (!this.#undone.has(sweep.id)) this.#sweeps.set(sweep.id, sweep);
      this.#show();
    } catch (error) {
      this.#outcome.fail(error);
    }
  }

  #show() {
    const latestFirst = [...this.#sweeps.values()].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
    this.element.hidden = !this.#mayModerate || latestFirst.length === 0;
    fill(this.#summary, t('sweeps.title', { count: number(latestFirst.length) }));
    fill(this.#items, latestFirst.map((sweep) => this.#item(sweep)));
  }

  /** @param {Sweep} sweep */
  #item({ id, at, by, reason, rule, secondsBack, undoableUntil }) {
    const undo = rowAction(t('sweeps.undo'), async () => {
      if (!(await this.#outcome.run(undo, t('sweeps.undone'), () => undoSweep(this.#room, id)))) return;
      this.#undone.add(id);
      this.#sweeps.delete(id);
      this.#show();
      this.#onUndone();
    });
    return h(
      'li',
      { class: 'line', data: { id } },
      h('time', { datetime: at, class: 'quiet' }, hourMinute(at)),
      by && userText(nameOf(by), 'strong'),
      h('span', {}, userText(describe(rule ?? {}, secondsBack))),
      reason && h('span', { class: 'quiet' }, userText(reason)),
      h('span', { class: 'space' }),
      h('span', { class: 'quiet' }, t('sweeps.until', { at: hourMinute(undoableUntil) })),
      undo,
    );
  }
}
