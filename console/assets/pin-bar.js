// @ts-check
/** The pinned message, above the stream. */

import { get } from './api.js';
import { button, fill, h, userText } from './dom.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { unpin } from './moderation.js';
import { Outcome } from './outcome.js';

export class PinBar {
  #room;
  #signal;
  /** @type {string | null} */
  #id = null;
  #text = h('span', { class: 'pin-text' });
  #outcome = new Outcome();
  #remove = button(t('pin.remove'), () => this.#outcome.run(this.#remove, '', () => unpin(this.#room)), {
    class: 'small',
    hidden: true,
  });
  element = h(
    'section',
    { class: 'pin', hidden: true, 'aria-label': t('pin.title') },
    h('span', { class: 'badge is-notice' }, t('pin.title')),
    this.#text,
    this.#remove,
    this.#outcome.element,
  );

  /** @param {string} room @param {AbortSignal} signal */
  constructor(room, signal) {
    this.#room = room;
    this.#signal = signal;
  }

  /** @param {boolean} mayModerate */
  allow(mayModerate) {
    this.#remove.hidden = !mayModerate;
  }

  /** @param {string | null} id @param {import('./message-row.js').Message} [message] if the stream has it */
  show(id, message) {
    if (id === this.#id) return;
    this.#id = id;
    this.element.hidden = id === null;
    this.#outcome.clear();
    if (id === null) return;
    fill(this.#text, t('loading'));
    if (message?.text !== undefined) this.#tell(message);
    else this.#load(id);
  }

  /** @param {string} id */
  async #load(id) {
    try {
      const message = await get('archive', `/v1/rooms/${this.#room}/messages/${id}`, { signal: this.#signal });
      if (this.#id === id) this.#tell(message);
    } catch (error) {
      if (this.#id !== id) return;
      fill(this.#text, t('pin.gone'));
      if (/** @type {any} */ (error).status !== 404) this.#outcome.fail(error);
    }
  }

  /** @param {any} message */
  #tell({ user, text }) {
    fill(this.#text, userText(nameOf(user), 'strong'), ' ', userText(text));
  }
}
