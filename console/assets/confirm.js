// @ts-check
/** A question before what cannot be undone. */

import { button, field, h } from './dom.js';
import { t } from './i18n.js';

/**
 * Asks, with a reason. Resolves with the reason, or with null if the user thinks better of it.
 * @param {string} question @param {string} action @returns {Promise<string | null>}
 */
export function confirmWithReason(question, action) {
  return new Promise((resolve) => {
    const reason = h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      resolve(reason.value.trim());
      dialog.close();
    };
    const dialog = h(
      'dialog',
      { 'aria-labelledby': 'question' },
      h(
        'form',
        { on: { submit } },
        h('h2', { id: 'question' }, question),
        field(t('reason'), reason),
        h(
          'div',
          { class: 'buttons' },
          h('button', { type: 'submit', class: 'danger' }, action),
          button(t('cancel'), () => dialog.close()),
        ),
      ),
    );
    // Another view has other questions.
    const leave = () => dialog.close();
    addEventListener('hashchange', leave);
    dialog.addEventListener('close', () => {
      removeEventListener('hashchange', leave);
      dialog.remove();
      resolve(null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
