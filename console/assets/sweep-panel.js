// @ts-check
/**
 * A sweep, beside the live stream: the moderator chooses by text, author, label and time. A dry run follows each
 * change: it counts, and the stream marks what would go. Only a sweep that was counted can be made.
 */

import { ApiError } from './api.js';
import { card } from './card.js';
import { button, field, fill, h, select, userText } from './dom.js';
import { number, percent } from './format.js';
import { t } from './i18n.js';
import { flagName, nameOf, rowAction } from './message-row.js';
import { sweep, trySweep } from './moderation.js';
import { explain, isAbort, Outcome } from './outcome.js';
import { Marks } from './sweep-marks.js';
import { MOST_MINUTES, SIMILARITIES, sweepOf } from './sweep-rule.js';

/** @typedef {import('./message-row.js').Message} Message */

/** The similarity that the panel suggests while there are similar texts. */
const SUGGESTED = 0.8;

/** Between a change and its dry run, so that typing is not one dry run a letter. */
const PAUSE_MS = 400;

/** Between the dry runs of an unchanged sweep while matching messages arrive. Each counts as a decision. */
const REFRESH_MS = 5_000;

/** The labels of the word filter. The review hook's are those that the stream has. */
const LABELS = ['ko.abuse', 'ko.vulgar', 'en.abuse', 'en.vulgar', 'room'];

export class SweepPanel {
  #room;
  #messages;
  #onChange;
  #onSwept;
  #texts = h('textarea', { name: 'texts', rows: 2, spellcheck: 'false' });
  #similarity;
  #users = h('input', { name: 'users', autocomplete: 'off' });
  #label;
  #minutes = h('input', { name: 'minutes', type: 'number', min: 1, max: MOST_MINUTES, required: true, value: '10' });
  #reason = h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' });
  #found = h('div', { class: 'sweep-found', role: 'status', tabindex: '-1' }, t('sweep.hint'));
  #authors = h('details', { hidden: true });
  #apply = h('button', { type: 'submit', class: 'danger', disabled: true }, t('sweep.apply'));
  #outcome = new Outcome();
  /** What the last dry run counted. @type {import('./sweep-rule.js').Sweep | null} */
  #counted = null;
  /** What the stream marks. @type {Marks | null} */
  marks = null;
  /** Whether messages have arrived since the dry run that the sweep would delete too. */
  #isStale = false;
  #timer = 0;
  #attempt = new AbortController();

  /**
   * @param {{ room: string, labels: Iterable<string>, messages: () => Iterable<Message>, onChange: () => void,
   *   onSwept: () => void, onClose: () => void }} options `labels` are those of the stream, and `messages` all of it.
   *   `onChange`: other messages are chosen or marked
   */
  constructor({ room, labels, messages, onChange, onSwept, onClose }) {
    this.#room = room;
    this.#messages = messages;
    this.#onChange = onChange;
    this.#onSwept = onSwept;
    const names = [...new Set([...LABELS, ...labels])].map((label) => [label, flagName(label)]);
    this.#label = select({ '': t('sweep.anyLabel'), ...Object.fromEntries(names) }, '', { name: 'label' });
    const grades = SIMILARITIES.map((grade) => [grade, t('sweep.atLeast', { percent: percent(grade) })]);
    this.#similarity = select({ '': t('sweep.onlyEqual'), ...Object.fromEntries(grades) }, '', { name: 'similarity' });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#sweep();
    };
    const form = h(
      'form',
      { class: 'sweep-form', on: { submit } },
      field(t('sweep.texts'), this.#texts),
      field(t('sweep.similarity'), this.#similarity),
      field(t('sweep.users'), this.#users),
      h('div', { class: 'pair' }, field(t('sweep.label'), this.#label), field(t('sweep.minutes'), this.#minutes)),
      this.#authors,
      field(t('reason'), this.#reason),
      h('div', { class: 'sweep-foot' }, this.#found, this.#apply, this.#outcome.element),
    );
    for (const control of [this.#texts, this.#similarity, this.#users, this.#label, this.#minutes]) {
      control.addEventListener('input', () => this.#changed());
    }
    this.element = card({ title: t('sweep.title'), onClose }, h('p', { class: 'quiet' }, t('sweep.explained')), form);
    this.element.classList.add('sweep');
  }

  /** What a row of the stream offers while the panel is open. @param {Message} message */
  actions(message) {
    const { user, text } = message;
    if (text === undefined) return [];
    const choices = /** @type {[string, boolean, () => void][]} */ ([
      ['text', this.#lines().includes(text), () => this.toggleText(text)],
      ['user', this.#idxs().includes(String(user.idx)), () => this.#toggleUser(user.idx)],
    ]);
    return choices.map(([name, isChosen, toggle]) => {
      return rowAction(t(isChosen ? `sweep.remove.${name}` : `sweep.add.${name}`), toggle);
    });
  }

  /** @param {string} text */
  toggleText(text) {
    this.#texts.value = toggled(this.#lines(), text).join('\n');
    this.#changed();
  }

  /** @param {string | number} idx */
  #toggleUser(idx) {
    this.#users.value = toggled(this.#idxs(), String(idx)).join(' ');
    this.#changed();
  }

  /** A message that the sweep would delete too has arrived. */
  arrived() {
    if (this.#isStale || !this.#counted) return;
    this.#isStale = true;
    this.#tryIn(REFRESH_MS);
  }

  close() {
    clearTimeout(this.#timer);
    this.#attempt.abort();
  }

  #lines() {
    return this.#texts.value.split('\n').filter(Boolean);
  }

  #idxs() {
    return this.#users.value.split(/[\s,]+/).filter(Boolean);
  }

  #changed() {
    this.#attempt.abort();
    this.#forgetCount();
    this.#outcome.clear();
    this.#tryIn(PAUSE_MS);
    this.#onChange();
  }

  #forgetCount() {
    this.#counted = null;
    this.#apply.disabled = true;
    this.#apply.textContent = t('sweep.apply');
  }

  /** @param {number} ms */
  #tryIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(), ms);
  }

  async #try() {
    this.#isStale = false;
    const attempt = (this.#attempt = new AbortController());
    try {
      const wanted = sweepOf({
        texts: this.#texts.value,
        similarity: this.#similarity.value,
        users: this.#users.value,
        label: this.#label.value,
        minutes: this.#minutes.value,
      });
      if (!wanted) return this.#show(null, t('sweep.hint'));
      if (!this.#counted) fill(this.#found, t('sweep.counting'));
      const answer = await trySweep(this.#room, wanted, { signal: attempt.signal });
      if (!attempt.signal.aborted) this.#tell(wanted, answer);
    } catch (error) {
      if (isAbort(error) || attempt.signal.aborted) return;
      this.#show(null, explain(error));
      this.#found.dataset.state = 'failed';
      if (error instanceof ApiError && error.retryMs) this.#tryIn(error.retryMs);
    }
  }

  /** @param {import('./sweep-rule.js').Sweep} wanted @param {any} answer */
  #tell(wanted, { messages, users, complete, latest, authors }) {
    const marks = new Marks(wanted, latest);
    const { texts, similarity } = wanted.rule;
    const isExact = texts !== undefined && similarity === undefined;
    const wider = isExact ? new Marks({ ...wanted, rule: { ...wanted.rule, similarity: SUGGESTED } }, latest) : null;
    let [marked, similar] = [0, 0];
    for (const message of this.#messages()) {
      if (marks.has(message)) marked++;
      else if (wider?.has(message)) similar++;
    }
    const counts = { messages: number(messages), users: number(users) };
    this.#show(
      marks,
      h('strong', {}, t('sweep.found', counts)),
      h('p', { class: 'quiet' }, t('sweep.marked', { count: number(marked) })),
      similar > 0 && button(t('sweep.addSimilar', { count: number(similar) }), () => this.#addSimilar()),
      !complete && h('p', { class: 'note is-failed' }, t('sweep.incomplete')),
    );
    fill(
      this.#authors,
      h('summary', {}, t('sweep.authors')),
      h('ul', {}, authors.map(authorItem)),
    );
    this.#authors.hidden = authors.length === 0;
    this.#counted = messages > 0 ? wanted : null;
    this.#apply.disabled = messages === 0;
    this.#apply.textContent = messages > 0 ? t('sweep.applyTo', counts) : t('sweep.apply');
  }

  #addSimilar() {
    this.#similarity.value = String(SUGGESTED);
    this.#changed();
    // The button is about to go. What it finds, and the button that deletes it, come next.
    this.#found.focus({ preventScroll: true });
  }

  /** @param {Marks | null} marks @param {...any} found */
  #show(marks, ...found) {
    this.marks = marks;
    this.#forgetCount();
    this.#authors.hidden = true;
    this.#found.dataset.state = '';
    fill(this.#found, ...found);
    this.#onChange();
  }

  async #sweep() {
    const counted = this.#counted;
    if (!counted) return;
    clearTimeout(this.#timer);
    this.#attempt.abort();
    const order = { ...counted, reason: this.#reason.value.trim() };
    if (await this.#outcome.run(this.#apply, '', () => sweep(this.#room, order))) this.#onSwept();
  }
}

/** @param {{ user: any, messages: number }} author */
function authorItem({ user, messages }) {
  return h('li', {}, userText(nameOf(user)), ` ${number(messages)}`);
}

/** @param {string[]} items @param {string} item */
function toggled(items, item) {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}
