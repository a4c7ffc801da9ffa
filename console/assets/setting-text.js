// @ts-check
/** Settings of a room in words, as a decision changed them: `slow mode: 30 s; links: from everyone`. */

import { number } from './format.js';
import { hasText, t } from './i18n.js';

/** @param {string} name @param {unknown} value undefined or null: the default of the deployment */
export function settingText(name, value) {
  // A setting of a later version has no text.
  if (!hasText(`changed.${name}`)) return `${name}: ${JSON.stringify(value ?? null)}`;
  return t(`changed.${name}`, { value: shown(name, value) });
}

/** @param {string} name @param {any} value @returns {string} */
function shown(name, value) {
  if (value === undefined || value === null) return t('setting.default');
  if (typeof value === 'boolean') return t(value ? 'changed.on' : 'changed.off');
  if (name === 'slowModeSeconds') return value === 0 ? t('changed.off') : t('changed.seconds', { count: number(value) });
  if (name === 'messageRate') {
    return t('changed.rate', { messages: number(value.messages), seconds: number(value.seconds) });
  }
  if (Array.isArray(value)) return value.length > 0 ? value.map((word) => `“${word}”`).join(', ') : t('changed.none');
  if (typeof value === 'number') return number(value);
  return hasText(`setting.${name}.${value}`) ? t(`setting.${name}.${value}`) : String(value);
}
