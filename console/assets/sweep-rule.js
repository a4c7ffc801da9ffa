// @ts-check
/** What a sweep deletes: as the form has it, as the API takes it, and in words. */

import { length, number, percent } from './format.js';
import { t } from './i18n.js';
import { flagName } from './message-row.js';

/** Bounds of the API. */
export const MOST_TEXTS = 16;
export const MOST_USERS = 1_000;
export const MOST_MINUTES = 60;

/** Texts of a rule that its description shows. */
const SHOWN_TEXTS = 3;

/** How similar a text may have to be: 0.8 finds a sentence of which a word differs. */
export const SIMILARITIES = [0.9, 0.8, 0.65];

/** @typedef {{ texts?: string[], similarity?: number, users?: number[], label?: string }} Rule */
/** @typedef {{ rule: Rule, secondsBack: number }} Sweep */
/**
 * @typedef {{ texts: string, similarity: string, users: string, label: string, minutes: string }} Fields one text or
 *   number a line
 */

/**
 * The sweep that the fields describe, or null while there is no condition. Throws an error for the user.
 * @param {Fields} fields @returns {Sweep | null}
 */
export function sweepOf({ texts, similarity, users, label, minutes }) {
  const lines = unique(texts.split('\n').map((text) => text.trim()));
  const numbers = unique(users.split(/[\s,]+/)).map(Number);
  if (lines.length > MOST_TEXTS) throw new Error(t('sweep.tooManyTexts', { most: MOST_TEXTS }));
  if (numbers.length > MOST_USERS) throw new Error(t('sweep.tooManyUsers', { most: number(MOST_USERS) }));
  if (!numbers.every((idx) => Number.isSafeInteger(idx) && idx > 0)) throw new Error(t('sweep.usersInvalid'));
  const secondsBack = Math.round(Number(minutes) * 60);
  if (!(secondsBack >= 1 && secondsBack <= MOST_MINUTES * 60)) {
    throw new Error(t('sweep.minutesInvalid', { most: MOST_MINUTES }));
  }
  if (lines.length + numbers.length === 0 && !label) return null;
  const rule = {
    ...(lines.length > 0 && { texts: lines, ...(similarity && { similarity: Number(similarity) }) }),
    ...(numbers.length > 0 && { users: numbers }),
    ...(label && { label }),
  };
  return { rule, secondsBack };
}

/**
 * The rule in words. The rules of sweeps from before an erasure have no text.
 * @param {Rule} rule @param {number} [secondsBack]
 */
export function describe({ texts, similarity, users, label, ...others }, secondsBack) {
  const parts = [];
  if (texts?.length) {
    const shown = texts.slice(0, SHOWN_TEXTS).map((text) => `“${text}”`);
    const more = texts.length - shown.length;
    const listed = shown.join(', ') + (more > 0 ? ` ${t('sweep.moreTexts', { count: number(more) })}` : '');
    parts.push(listed + (similarity ? ` ${t('sweep.orSimilar', { percent: percent(similarity) })}` : ''));
  }
  if (users?.length) parts.push(t('sweep.ofUsers', { count: number(users.length) }));
  if (label) parts.push(t('sweep.ofLabel', { label: flagName(label) }));
  // Conditions of a later version.
  for (const [name, value] of Object.entries(others)) parts.push(`${name} ${JSON.stringify(value)}`);
  if (secondsBack) parts.push(t('sweep.within', { length: length(secondsBack) }));
  return parts.join(' · ');
}

/** @param {string[]} texts */
function unique(texts) {
  return [...new Set(texts.filter(Boolean))];
}
