// @ts-check
/** The part of a user's card with the notes on them, which the room's moderators share. */

import { button, field, fill, h, userText } from './dom.js';
import { dateTime } from './format.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { addNote, deleteNote, notesOn } from './moderation.js';
import { Outcome } from './outcome.js';

export class UserNotes {
  #room;
  #user;
  #signal;
  #list = h('ul', { class: 'notes' });
  #outcome = new Outcome();

  /** @param {{ room: string, user: string | number, signal: AbortSignal }} options */
  constructor({ room, user, signal }) {
    this.#room = room;
    this.#user = user;
    this.#signal = signal;
    this.element = h(
      'div',
      { class: 'user-part' },
      h('h3', {}, t('notes.title')),
      this.#list,
      this.#form(),
      this.#outcome.element,
    );
    this.#load();
  }

  #form() {
    const text = h('input', { name: 'note', maxlength: 500, required: true, autocomplete: 'off' });
    const submit = h('button', { type: 'submit' }, t('notes.add'));
    const apply = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const note = text.value.trim();
      const isDone = await this.#outcome.run(submit, t('notes.added'), () => addNote(this.#room, this.#user, note));
      if (!isDone) return;
      text.value = '';
      await this.#load();
    };
    return h('form', { class: 'note-form', on: { submit: apply } }, field(t('notes.text'), text), submit);
  }

  async #load() {
    try {
      const notes = await notesOn(this.#room, this.#user, { signal: this.#signal });
      fill(this.#list, notes.length > 0 ? notes.map((note) => this.#row(note)) : h('li', {}, t('notes.none')));
    } catch (error) {
      this.#outcome.fail(error);
    }
  }

  /** @param {{ id: string, at: string, by: import('./message-row.js').User, text: string }} note */
  #row({ id, at, by, text }) {
    const remove = button(t('notes.delete'), async () => {
      const end = () => deleteNote(this.#room, this.#user, id);
      if (await this.#outcome.run(remove, t('notes.deleted'), end)) await this.#load();
    });
    const origin = h('span', { class: 'quiet' }, userText(nameOf(by)), ', ', h('time', { datetime: at }, dateTime(at)));
    return h('li', {}, h('p', {}, userText(text)), h('div', { class: 'line' }, origin, remove));
  }
}
