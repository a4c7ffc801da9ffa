// @ts-check
/** The line below the stream that posts a notice. Only moderators have it. */

import { h } from './dom.js';
import { t } from './i18n.js';
import { postNotice } from './moderation.js';
import { Outcome } from './outcome.js';

/** @param {string} room */
export function noticeForm(room) {
  const outcome = new Outcome();
  const text = h('input', { name: 'notice', maxlength: 500, required: true, autocomplete: 'off' });
  text.setAttribute('aria-label', t('notice.text'));
  text.placeholder = t('notice.text');
  const button = h('button', { type: 'submit' }, t('notice.post'));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (await outcome.run(button, '', () => postNotice(room, text.value))) text.value = '';
  };
  return h('form', { class: 'notice-form', hidden: true, on: { submit } }, text, button, outcome.element);
}
