// @ts-check
/** A message as a row, wherever it is shown. */

import { button, h, userText } from './dom.js';
import { dateTime, roleName, time } from './format.js';
import { t } from './i18n.js';

/** @typedef {{ idx: number | string, nickname: string, role: string }} User */
/**
 * @typedef {{ id: string, user: User, text?: string, sentAt: string, flags?: string[],
 *   deleted?: { by?: User, reason?: string } | null }} Message
 */

/**
 * The name of a user; a number where there is none.
 * @param {{ idx: number | string, nickname?: string } | undefined} user
 */
export function nameOf(user) {
  return user?.nickname || t('user.unnamed', { idx: user?.idx ?? '?' });
}

/**
 * @param {Message} message
 * @param {{ when?: string, onUser?: (user: User) => void, actions?: HTMLElement[], note?: string }} [options] `when`
 *   stands in place of the time of day
 */
export function messageRow(message, { when, onUser, actions = [], note } = {}) {
  const { user, text, sentAt, flags = [], deleted } = message;
  const name = userText(nameOf(user));
  const role = roleName(user.role);
  const author = onUser
    ? h('button', { type: 'button', class: 'name', title: t('user.open'), on: { click: () => onUser(user) } }, name)
    : h('span', { class: 'name' }, name);
  return h(
    'div',
    { class: deleted ? 'message is-deleted' : 'message', data: { id: message.id } },
    h('time', { datetime: sentAt, title: dateTime(sentAt) }, when ?? time(sentAt)),
    h(
      'div',
      { class: 'said' },
      author,
      role && h('span', { class: `badge is-${user.role}` }, role),
      text !== undefined && h('span', { class: 'text' }, userText(text)),
      flags.map((flag) => h('span', { class: 'badge is-flag' }, flag)),
      deleted && h('span', { class: 'note' }, deletion(deleted)),
      note && h('span', { class: 'note is-failed', role: 'alert' }, note),
    ),
    actions.length > 0 && h('div', { class: 'row-actions' }, actions),
  );
}

/** @param {{ by?: User, reason?: string }} deleted */
function deletion({ by, reason }) {
  const who = by ? [t('message.deletedBy'), ' ', userText(nameOf(by))] : [t('message.deleted')];
  return h('span', {}, who, reason && [': ', userText(reason)]);
}

/** @param {string} label @param {() => void} action */
export function rowAction(label, action) {
  return button(label, action, { class: 'small' });
}
