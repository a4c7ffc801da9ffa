// @ts-check
/** The language of the page: Korean or English, by the browser's preference until the user chooses. */

import { en } from './en.js';
import { ko } from './ko.js';

/** @type {Record<string, Record<string, string>>} */
export const languages = { en, ko };

const KEY = 'chat-console-language';

let current = chosen();
document.documentElement.lang = current;

function chosen() {
  const stored = localStorage.getItem(KEY);
  if (stored && stored in languages) return stored;
  const preferred = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in languages);
  return preferred ?? 'en';
}

export function language() {
  return current;
}

/** @param {string} name */
export function chooseLanguage(name) {
  current = name;
  localStorage.setItem(KEY, name);
  document.documentElement.lang = name;
}

/**
 * The text for the key, with `{name}` replaced by the value of that name.
 * @param {string} key @param {Record<string, unknown>} [values]
 */
export function t(key, values = {}) {
  const text = languages[current][key];
  if (text === undefined) throw new Error(`no text has the key ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** @param {string} key */
export function hasText(key) {
  return key in languages[current];
}
