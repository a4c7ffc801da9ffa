// @ts-check
/** The messages of a room that wait for a moderator, the oldest first, beside the live stream. */

import { card } from './card.js';
import { confirmWithReason } from './confirm.js';
import { fill, h, userText } from './dom.js';
import { time } from './format.js';
import { t } from './i18n.js';
import { messageRow, nameOf, rowAction } from './message-row.js';
import { denyHold, releaseHold } from './moderation.js';
import { Outcome } from './outcome.js';

/** @typedef {import('./live-room.js').HeldItem} HeldItem */

export class HoldQueue {
  #room;
  #outcome = new Outcome();
  #items = h('ul', { class: 'queue' });
  #none = h('p', { class: 'quiet' }, t('holds.none'));
  /** Rows by message id: a row keeps the focus while others come and go. @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /** @param {string} room @param {() => void} onClose */
  constructor(room, onClose) {
    this.#room = room;
    this.element = card(
      { title: t('holds.title'), onClose },
      h('p', { class: 'quiet' }, t('holds.explained')),
      this.#outcome.element,
      this.#none,
      this.#items,
    );
  }

  /** @param {HeldItem[]} held */
  show(held) {
    const rows = new Map(held.map((item) => [item.message.id, this.#rows.get(item.message.id) ?? this.#row(item)]));
    for (const [id, row] of this.#rows) if (!rows.has(id)) row.remove();
    for (const [id, row] of rows) if (!this.#rows.has(id)) this.#items.append(row);
    this.#rows = rows;
    this.#none.hidden = rows.size > 0;
  }

  /** The buttons that decide about the message. Its row goes when the stream has the decision. @param {string} id */
  actions(id) {
    const release = rowAction(t('holds.release'), () => {
      this.#outcome.run(release, t('holds.decided'), () => releaseHold(this.#room, id));
    });
    const deny = rowAction(t('holds.deny'), async () => {
      const reason = await confirmWithReason(t('holds.denyQuestion'), t('holds.denyAction'));
      if (reason !== null) await this.#outcome.run(deny, t('holds.decided'), () => denyHold(this.#room, id, reason));
    });
    return [release, deny];
  }

  /**
   * The message in the stream, where it was written, with how its hold has ended.
   * @param {HeldItem} item @param {(user: import('./message-row.js').User) => void} onUser
   */
  streamRow({ message, state, by, reason }, onUser) {
    const who = by && [' ', userText(nameOf(by))];
    const note = h('span', { class: 'note' }, t(`holds.${state}`), who, reason && [': ', userText(reason)]);
    const row = messageRow(message, { onUser, actions: state === 'waiting' ? this.actions(message.id) : [] });
    row.classList.add('is-held');
    row.querySelector('.said')?.append(note);
    return row;
  }

  /** @param {HeldItem} item */
  #row({ message, until }) {
    const row = messageRow(message, { when: time(message.sentAt) });
    const end = h('span', { class: 'quiet' }, t('holds.until', { at: time(until) }));
    return fill(h('li'), row, h('div', { class: 'buttons' }, this.actions(message.id), end));
  }
}
