// @ts-check
/** The outcome of an action, told beside the control that caused it. */

import { ApiError } from './api.js';
import { h } from './dom.js';
import { hasText, t } from './i18n.js';

/** What to tell the user about an error. @param {unknown} error */
export function explain(error) {
  if (error instanceof ApiError) {
    const seconds = Math.ceil((error.retryMs ?? 1_000) / 1_000);
    if (hasText(`error.${error.code}`)) return t(`error.${error.code}`, { seconds });
    return error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Whether a request was given up because its view is gone. @param {unknown} error */
export function isAbort(error) {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** A place that tells outcomes. Screen readers announce it. */
export class Outcome {
  element = h('p', { class: 'outcome', role: 'status' });

  /** @param {string} text */
  tell(text) {
    this.#show(text, '');
  }

  /** @param {unknown} error */
  fail(error) {
    if (!isAbort(error)) this.#show(explain(error), 'failed');
  }

  clear() {
    this.#show('', '');
  }

  /**
   * Runs an action while its button is off, and tells how it went. Returns whether it succeeded.
   * @param {HTMLButtonElement | null} button @param {string} done @param {() => Promise<unknown>} action
   */
  async run(button, done, action) {
    if (button) button.disabled = true;
    this.tell(t('working'));
    try {
      await action();
      this.tell(done);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    } finally {
      if (button) button.disabled = false;
    }
  }

  /** @param {string} text @param {string} state */
  #show(text, state) {
    this.element.textContent = text;
    this.element.dataset.state = state;
  }
}
