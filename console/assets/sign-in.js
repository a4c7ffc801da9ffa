// @ts-check
/** Signing in with a token: as a page at first, and as a dialog over the view when a token has expired. */

import { ApiError, bases } from './api.js';
import { field, h } from './dom.js';
import { t } from './i18n.js';
import { Outcome } from './outcome.js';
import { readToken, session } from './session.js';

export function signInForm() {
  const outcome = new Outcome();
  const token = h('textarea', { rows: 4, required: true, spellcheck: 'false', autocomplete: 'off', name: 'token' });
  const submit = h('button', { type: 'submit', class: 'primary' }, t('signIn.action'));
  const signIn = async (/** @type {Event} */ event) => {
    event.preventDefault();
    submit.disabled = true;
    outcome.tell(t('working'));
    try {
      const text = token.value.trim().replace(/^Bearer\s+/i, '');
      readToken(text);
      await check(text);
      session.signIn(text);
    } catch (error) {
      outcome.fail(error);
    } finally {
      submit.disabled = false;
    }
  };
  return h(
    'form',
    { class: 'sign-in', on: { submit: signIn } },
    field(t('signIn.token'), token),
    h('p', { class: 'quiet' }, t('signIn.explained')),
    h('div', { class: 'buttons' }, submit),
    outcome.element,
  );
}

/** Asks the archiver whether it accepts the token: any answer but 401 says so. @param {string} token */
async function check(token) {
  const probe = `${bases.archive}/v1/rooms/1/messages?first=1`;
  const answer = await fetch(probe, { headers: { Authorization: `Bearer ${token}` }, cache: 'no-store' });
  if (answer.status !== 401) return;
  const { code = '', detail } = await answer.json();
  throw new ApiError(401, code, detail, null);
}

/** The view stays as it is, below the dialog. */
export function askForToken() {
  if (document.querySelector('dialog.sign-in')) return;
  const dialog = h(
    'dialog',
    { class: 'sign-in', 'aria-labelledby': 'sign-in-again' },
    h('h2', { id: 'sign-in-again' }, t('signIn.again')),
    h('p', {}, t('signIn.why')),
    signInForm(),
  );
  // Closed without a token, there is nothing left to show.
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (!session.isSignedIn) session.signOut();
  });
  session.addEventListener('change', () => dialog.close(), { once: true });
  document.body.append(dialog);
  dialog.showModal();
}
