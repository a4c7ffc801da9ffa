// @ts-check
/** A room's settings: what is in force, what the room has set itself, and how to change it, for a while or for good. */

import { ApiError } from './api.js';
import { button, field, fill, h, select } from './dom.js';
import { length, minute } from './format.js';
import { t } from './i18n.js';
import { changeSettings, clearRoom, settings } from './moderation.js';
import { confirmWithReason } from './confirm.js';
import { Outcome } from './outcome.js';

/** Seconds for which a change may last. */
const TERMS = [300, 1_800, 3_600, 86_400];

/**
 * Controls by setting: how each is built, and how its value is read.
 * @type {Record<string, (name: string, value: any) => { element: HTMLElement, read: () => unknown }>}
 */
const CONTROLS = {
  slowModeSeconds: whole(0, 3_600),
  presenterOnly: checkbox(),
  emojiOnly: checkbox(),
  links: choice(['everyone', 'trusted']),
  uniqueChat: checkbox(),
  maxLength: whole(1, 500),
  messageRate: rate(),
  wordPolicy: choice(['off', 'flag', 'mask', 'hold', 'reject']),
  words: lines(),
  readers: choice(['off', 'members', 'anyone']),
};

export class SettingsPanel {
  #room;
  #signal;
  #outcome = new Outcome();
  #reason = h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' });
  #fields = h('div', { class: 'settings-fields' });
  /** What was loaded, by setting, as JSON. @type {Record<string, string>} */
  #loaded = {};
  /** @type {Record<string, { element: HTMLElement, read: () => unknown }>} */
  #controls = {};
  /** Hidden until there are settings to change: not everybody may. */
  #form = this.#build();

  /** @param {string} room @param {AbortSignal} signal */
  constructor(room, signal) {
    this.#room = room;
    this.#signal = signal;
    this.element = h(
      'section',
      { class: 'settings' },
      h('h2', { tabindex: '-1' }, t('settings.title', { room })),
      this.#form,
      this.#outcome.element,
    );
    this.#load();
  }

  /** Somebody changed the settings. What the user is about to change stays as it is. */
  changed() {
    if (Object.keys(this.#patch()).length === 0) this.#load();
  }

  /** @param {unknown} error */
  fail(error) {
    this.#outcome.fail(error);
  }

  #build() {
    const term = select(
      { '': t('settings.forGood'), ...Object.fromEntries(TERMS.map((seconds) => [String(seconds), length(seconds)])) },
      '',
    );
    const save = h('button', { type: 'submit', class: 'primary' }, t('settings.save'));
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      const patch = this.#patch();
      if (Object.keys(patch).length === 0) return this.#outcome.tell(t('settings.unchanged'));
      this.#change(save, {
        settings: patch,
        seconds: Number(term.value) || undefined,
        reason: this.#reason.value.trim(),
      });
    };
    const clear = button(t('settings.clear'), () => this.#clear(), { class: 'danger' });
    return h(
      'form',
      { hidden: true, on: { submit } },
      this.#fields,
      h('div', { class: 'pair' }, field(t('settings.term'), term), field(t('reason'), this.#reason)),
      h('div', { class: 'buttons' }, save, h('span', { class: 'space' }), clear),
    );
  }

  async #load() {
    try {
      const { settings: inForce, own, until = {} } = await settings(this.#room, { signal: this.#signal });
      this.#show(inForce, own, until);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'forbidden') this.#outcome.tell(t('settings.readOnly'));
      else this.#outcome.fail(error);
    }
  }

  /** @param {any} inForce @param {any} own @param {any} until */
  #show(inForce, own, until) {
    this.#loaded = {};
    const rows = Object.entries(CONTROLS)
      .filter(([name]) => name in inForce)
      .map(([name, build]) => {
        const control = build(name, inForce[name]);
        this.#controls[name] = control;
        this.#loaded[name] = JSON.stringify(control.read());
        const note = until[name]
          ? t('settings.until', { at: minute(until[name]) })
          : name in own
            ? t('settings.own')
            : '';
        const reset = button(t('settings.reset'), () => this.#change(reset, { settings: { [name]: null } }), {
          class: 'small',
          'aria-label': `${t('settings.reset')}: ${t(`setting.${name}`)}`,
        });
        return h(
          'div',
          { class: 'setting' },
          control.element,
          note && h('span', { class: 'quiet' }, note),
          name in own && reset,
        );
      });
    fill(this.#fields, rows);
    this.#form.hidden = false;
  }

  #patch() {
    const changed = Object.keys(this.#loaded).filter((name) => {
      return JSON.stringify(this.#controls[name].read()) !== this.#loaded[name];
    });
    return Object.fromEntries(changed.map((name) => [name, this.#controls[name].read()]));
  }

  /** @param {HTMLButtonElement} pressed @param {{ settings: any, seconds?: number, reason?: string }} patch */
  async #change(pressed, patch) {
    const isDone = await this.#outcome.run(pressed, t('settings.saved'), () => changeSettings(this.#room, patch));
    if (!isDone) return;
    this.#reason.value = '';
    await this.#load();
  }

  async #clear() {
    const reason = await confirmWithReason(
      t('settings.clearQuestion', { room: this.#room }),
      t('settings.clearAction'),
    );
    if (reason !== null) await this.#outcome.run(null, t('settings.cleared'), () => clearRoom(this.#room, reason));
  }
}

/** @param {number} min @param {number} max */
function whole(min, max) {
  return (/** @type {string} */ name, /** @type {number} */ value) => {
    const input = h('input', { type: 'number', min, max, required: true, value: String(value) });
    return { element: field(t(`setting.${name}`), input), read: () => Number(input.value) };
  };
}

function checkbox() {
  return (/** @type {string} */ name, /** @type {boolean} */ value) => {
    const input = h('input', { type: 'checkbox', checked: value });
    return { element: h('label', { class: 'check' }, input, t(`setting.${name}`)), read: () => input.checked };
  };
}

/** @param {string[]} values */
function choice(values) {
  return (/** @type {string} */ name, /** @type {string} */ value) => {
    const options = Object.fromEntries(values.map((option) => [option, t(`setting.${name}.${option}`)]));
    const input = select(options, value);
    return { element: field(t(`setting.${name}`), input), read: () => input.value };
  };
}

function lines() {
  return (/** @type {string} */ name, /** @type {string[]} */ value) => {
    const input = h('textarea', { rows: 2, spellcheck: 'false', value: value.join('\n') });
    const read = () =>
      input.value
        .split('\n')
        .map((/** @type {string} */ line) => line.trim())
        .filter(Boolean);
    return { element: field(t(`setting.${name}`), input), read };
  };
}

function rate() {
  return (/** @type {string} */ name, /** @type {{ messages: number, seconds: number }} */ value) => {
    const number = (/** @type {number} */ max, /** @type {number} */ shown, /** @type {string} */ label) =>
      h('input', { type: 'number', min: 1, max, required: true, value: String(shown), 'aria-label': label });
    const messages = number(100_000, value.messages, t('setting.messageRate.messages'));
    const seconds = number(3_600, value.seconds, t('setting.messageRate.seconds'));
    const element = h(
      'div',
      { class: 'field', role: 'group', 'aria-label': t(`setting.${name}`) },
      h('span', { class: 'field-label' }, t(`setting.${name}`)),
      h('span', { class: 'rate' }, messages, t('setting.messageRate.in'), seconds, t('setting.messageRate.unit')),
    );
    return { element, read: () => ({ messages: Number(messages.value), seconds: Number(seconds.value) }) };
  };
}
