// @ts-check
/** A user's card: who it is, whether they are banned or warned here, notes on them, and what they wrote in the room. */

import { get } from './api.js';
import { card } from './card.js';
import { button, field, fill, h, select, userText } from './dom.js';
import { dateTime, length, minute, roleName } from './format.js';
import { t } from './i18n.js';
import { messageRow, nameOf } from './message-row.js';
import { ban, banOf, unban } from './moderation.js';
import { Outcome } from './outcome.js';
import { session } from './session.js';
import { UserNotes } from './user-notes.js';
import { UserWarning } from './user-warning.js';

/** Messages on a card. The search has the rest. */
const MESSAGES = 50;

/** Seconds of a time-out. */
const LENGTHS = [60, 600, 3_600, 86_400, 604_800];

/** Seconds before a ban from which it can delete messages. */
const PURGES = [60, 300, 600, 3_600];

export class UserCard {
  #room;
  #user;
  #signal;
  #mayModerate;
  // A line, so that the form below does not move when it is loaded.
  #ban = h('p', { class: 'ban-state' }, '\u00a0');
  #unban = button(t('ban.end'), () => this.#endBan(), { hidden: true });
  #history = h('div', { class: 'history' }, t('loading'));
  #names = h('p', { class: 'quiet' });
  #outcome = new Outcome();

  /**
   * @param {{ room: string, user: import('./message-row.js').User, signal: AbortSignal, mayModerate: boolean,
   *   onClose: () => void }} options
   */
  constructor({ room, user, signal, mayModerate, onClose }) {
    this.#room = room;
    this.#user = user;
    this.#signal = signal;
    this.#mayModerate = mayModerate;
    const role = roleName(user.role);
    const about = { room, user: user.idx, signal };
    const search = `#/rooms/${room}/search?user=${user.idx}&order=desc`;
    this.element = card(
      { title: userText(nameOf(user)), beside: role && h('span', { class: `badge is-${user.role}` }, role), onClose },
      h('p', { class: 'quiet' }, t('user.number', { idx: user.idx })),
      mayModerate && [h('div', { class: 'line' }, this.#ban, this.#unban), this.#form(), this.#outcome.element],
      mayModerate && [new UserWarning(about).element, new UserNotes(about).element],
      h('h3', {}, t('user.messages')),
      this.#names,
      this.#history,
      h('p', {}, h('a', { href: search }, t('user.searchAll'))),
    );
    this.#loadHistory();
    if (mayModerate) this.#loadBan();
  }

  #form() {
    const lengths = Object.fromEntries(LENGTHS.map((seconds) => [String(seconds), length(seconds)]));
    const term = select({ ...lengths, '': t('ban.forever') }, '600', { name: 'seconds' });
    const purges = Object.fromEntries(PURGES.map((seconds) => [String(seconds), length(seconds)]));
    const purge = select({ '': t('ban.purge.none'), ...purges }, '', { name: 'purge' });
    const reason = h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' });
    const everywhere = h('input', { type: 'checkbox', name: 'everywhere' });
    // A ban from every room deletes nothing.
    everywhere.addEventListener('change', () => (purge.disabled = everywhere.checked));
    const submit = h('button', { type: 'submit', class: 'danger' }, t('ban.apply'));
    const apply = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const options = {
        seconds: Number(term.value) || undefined,
        purgeSeconds: everywhere.checked ? undefined : Number(purge.value) || undefined,
        reason: reason.value.trim(),
        everywhere: everywhere.checked,
      };
      const isDone = await this.#outcome.run(submit, t('ban.done'), () => ban(this.#room, this.#user.idx, options));
      if (isDone) await this.#loadBan();
    };
    return h(
      'form',
      { class: 'ban', on: { submit: apply } },
      field(t('ban.length'), term),
      field(t('ban.purge'), purge),
      field(t('reason'), reason),
      session.has('chat:moderate') && h('label', { class: 'check' }, everywhere, t('ban.everywhere')),
      submit,
    );
  }

  async #loadBan() {
    try {
      const found = await banOf(this.#room, this.#user.idx, { signal: this.#signal });
      const until = found?.until ? t('ban.until', { at: dateTime(found.until) }) : t('ban.isForever');
      fill(this.#ban, found ? [until, found.reason && [': ', userText(found.reason)]] : t('ban.none'));
      this.#ban.dataset.state = found ? 'banned' : '';
      this.#unban.hidden = !found;
    } catch (error) {
      this.#outcome.fail(error);
    }
  }

  async #endBan() {
    const isDone = await this.#outcome.run(this.#unban, t('ban.ended'), () => unban(this.#room, this.#user.idx));
    if (isDone) await this.#loadBan();
  }

  async #loadHistory() {
    const query = { user: this.#user.idx, order: 'desc', first: MESSAGES, deleted: this.#mayModerate ? 'include' : '' };
    try {
      const { messages } = await get('archive', `/v1/rooms/${this.#room}/messages`, { query, signal: this.#signal });
      const rows = messages.map((/** @type {any} */ message) => messageRow(message, { when: minute(message.sentAt) }));
      fill(this.#history, rows.length > 0 ? rows : t('user.noMessages'));
      const names = new Set(messages.map((/** @type {any} */ { user }) => user.nickname).filter(Boolean));
      names.delete(this.#user.nickname);
      if (names.size > 0)
        fill(
          this.#names,
          t('user.formerNames'),
          ' ',
          [...names].flatMap((name) => [userText(name), ' ']),
        );
    } catch (error) {
      const outcome = new Outcome();
      outcome.fail(error);
      fill(this.#history, outcome.element);
    }
  }
}
