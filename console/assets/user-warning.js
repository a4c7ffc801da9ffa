// @ts-check
/** The part of a user's card about their warning in the room: what it says, whether it was sent, and a form for one. */

import { button, field, fill, h, userText } from './dom.js';
import { dateTime } from './format.js';
import { t } from './i18n.js';
import { warn, warningOf, withdrawWarning } from './moderation.js';
import { Outcome } from './outcome.js';

export class UserWarning {
  #room;
  #user;
  #signal;
  #state = h('p', { class: 'ban-state' });
  #withdraw = button(t('warning.withdraw'), () => this.#end(), { hidden: true });
  #outcome = new Outcome();

  /** @param {{ room: string, user: string | number, signal: AbortSignal }} options */
  constructor({ room, user, signal }) {
    this.#room = room;
    this.#user = user;
    this.#signal = signal;
    const line = h('div', { class: 'line' }, this.#state, this.#withdraw);
    this.element = h('div', { class: 'user-part' }, line, this.#form(), this.#outcome.element);
    this.#load();
  }

  #form() {
    const reason = h('input', { name: 'reason', maxlength: 500, required: true, autocomplete: 'off' });
    const submit = h('button', { type: 'submit' }, t('warning.apply'));
    const apply = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const told = reason.value.trim();
      const isDone = await this.#outcome.run(submit, t('warning.done'), () => warn(this.#room, this.#user, told));
      if (!isDone) return;
      reason.value = '';
      await this.#load();
    };
    return h('form', { class: 'warn', on: { submit: apply } }, field(t('warning.reason'), reason), submit);
  }

  async #load() {
    try {
      const found = await warningOf(this.#room, this.#user, { signal: this.#signal });
      const sent = found?.sentAt ? t('warning.sent', { at: dateTime(found.sentAt) }) : t('warning.unsent');
      fill(this.#state, found ? [sent, ': ', userText(found.reason)] : t('warning.none'));
      this.#withdraw.hidden = !found;
    } catch (error) {
      this.#outcome.fail(error);
    }
  }

  async #end() {
    const end = () => withdrawWarning(this.#room, this.#user);
    const isDone = await this.#outcome.run(this.#withdraw, t('warning.withdrawn'), end);
    if (isDone) await this.#load();
  }
}
