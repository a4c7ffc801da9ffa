// @ts-check
/** A message as a row, wherever it is shown. */

import { button, h, userText } from './dom.js';
import { fragments } from './emotes.js';
import { dateTime, roleName, time } from './format.js';
import { hasText, t } from './i18n.js';

/** @typedef {{ idx: number | string, nickname: string, role: string }} User */
/**
 * @typedef {{ id: string, user: User, text?: string, sentAt: string, position?: string, flags?: string[],
 *   notice?: boolean, replyTo?: string, attributes?: Record<string, any>, emotes?: import('./emotes.js').Emote[],
 *   deleted?: { by?: User, reason?: string, sweep?: string } | null }} Message
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
 * @param {{ when?: string, onUser?: (user: User) => void, actions?: HTMLElement[], note?: string, badges?: string[],
 *   answered?: Message }} [options] `when` stands in place of the time of day. `answered` is the message that this one
 *   answers, if it is known
 */
export function messageRow(message, { when, onUser, actions = [], note, badges = [], answered } = {}) {
  const { user, text, sentAt, flags = [], deleted, notice, replyTo, emotes } = message;
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
      notice && h('span', { class: 'badge is-notice' }, t('message.notice')),
      badges.map((badge) => h('span', { class: 'badge is-flag' }, badge)),
      attributeBadges(message),
      replyTo && text !== undefined && answer(answered),
      text !== undefined && h('span', { class: 'text' }, emotes ? textWithEmotes(text, emotes) : userText(text)),
      flags.map((flag) => h('span', { class: 'badge is-flag', title: flag }, flagName(flag))),
      deleted && h('span', { class: 'note' }, deletion(deleted)),
      note && h('span', { class: 'note is-failed', role: 'alert' }, note),
    ),
    actions.length > 0 && h('div', { class: 'row-actions' }, actions),
  );
}

/** The deployment's own labels have no text. @param {string} flag */
export function flagName(flag) {
  return hasText(`flag.${flag}`) ? t(`flag.${flag}`) : flag;
}

/** @param {Message | undefined} answered */
function answer(answered) {
  if (!answered) return h('span', { class: 'answers' }, t('message.answersUnknown'));
  const text = answered.text === undefined ? null : [': ', userText(answered.text)];
  return h('span', { class: 'answers' }, t('message.answers'), ' ', userText(nameOf(answered.user)), text);
}

/** @param {string} text @param {import('./emotes.js').Emote[]} emotes */
function textWithEmotes(text, emotes) {
  const parts = fragments(text, emotes).map((part) => {
    return part.id === undefined ? part.text : h('span', { class: 'emote', title: part.id }, part.text);
  });
  return h('bdi', {}, parts);
}

/** What the platform says about a message. @param {Message} message */
function attributeBadges({ attributes = {} }) {
  return Object.entries(attributes).map(([name, value]) => {
    const shown = `${name}: ${described(value)}`;
    return h('span', { class: 'badge is-attribute', title: shown }, userText(shown));
  });
}

/** A value of JSON without its marks: `subscriber 12, founder`. @param {unknown} value @returns {string} */
function described(value) {
  if (Array.isArray(value)) return value.map(described).join(', ');
  if (typeof value === 'object' && value !== null) return Object.values(value).map(described).join(' ');
  return String(value);
}

/** @param {{ by?: User, reason?: string }} deleted */
function deletion({ by, reason }) {
  const who = by ? [t('message.deletedBy'), ' ', userText(nameOf(by))] : [t('message.deleted')];
  return h('span', {}, who, reason && [' – ', userText(reason)]);
}

/** @param {string} label @param {() => void} action */
export function rowAction(label, action) {
  return button(label, action, { class: 'small' });
}
