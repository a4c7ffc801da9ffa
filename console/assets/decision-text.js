// @ts-check
/** A moderator's decision in words: the same in the live stream and in the audit trail. */

import { h, userText } from './dom.js';
import { dateTime, number } from './format.js';
import { hasText, t } from './i18n.js';
import { nameOf } from './message-row.js';
import { settingText } from './setting-text.js';

/**
 * @param {any} decision an event of the room, or a decision of the audit trail
 * @returns {HTMLElement}
 */
export function decisionText(decision) {
  const { type, by, reason, user, until, message, presenterIdx, messages = 0 } = decision;
  // Nobody decides to hold a message. The row names its author.
  const actor = type === 'message.held' || type === 'notice.posted' ? (by ?? user ?? message?.user) : by;
  const named = typeof actor === 'object' ? actor : { idx: actor };
  // No moderator sends a warning: an answer of the server does.
  const someone = type === 'warning.sent' ? '' : t('decision.someone');
  const who = actor ? userText(nameOf(named), 'strong') : someone;
  const about = user && user !== actor;
  const verb = t(hasText(`decision.${type}`) ? `decision.${type}` : 'decision.other');
  const place = presenterIdx === undefined ? ` ${t('decision.everywhere')}` : '';
  return h(
    'span',
    { class: 'decision' },
    who,
    ' ',
    // In Korean a colon leads to what was decided about. It is not always known.
    about || message || type === 'room.updated' ? verb : verb.replace(/:$/, ''),
    about && [' ', userText(nameOf(typeof user === 'object' ? user : { idx: user }), 'strong')],
    place,
    type === 'user.banned' && ` ${until ? t('decision.until', { at: dateTime(until) }) : t('decision.forever')}`,
    type === 'room.swept' && messages > 0 && ` (${t('decision.messages', { count: number(messages) })})`,
    type === 'room.updated' && [' ', userText(changes(decision))],
    message && [' ', h('q', {}, userText(message.text ?? '…'))],
    reason && [' – ', userText(reason)],
  );
}

/** The settings of a decision. @param {any} decision */
function changes({ settings = {}, changed, settingsChanged }) {
  const names = changed ?? settingsChanged ?? Object.keys(settings);
  return names.map((/** @type {string} */ name) => settingText(name, settings[name])).join('; ');
}
