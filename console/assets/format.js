// @ts-check
/** Times, lengths and numbers, as the user's language and time zone write them. */

import { language, t } from './i18n.js';

/** Building a formatter takes longer than using it. By language and options. @type {Map<string, any>} */
const formatters = new Map();

/**
 * @template Formatter
 * @param {new (locale: string, options: any) => Formatter} Kind @param {object} options
 * @returns {Formatter}
 */
function formatter(Kind, options) {
  const key = `${Kind.name} ${language()} ${JSON.stringify(options)}`;
  const known = formatters.get(key) ?? new Kind(language(), options);
  formatters.set(key, known);
  return known;
}

/** @typedef {Date | string | number} Moment */

/** @param {Moment} at */
export function time(at) {
  const parts = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  return formatter(Intl.DateTimeFormat, parts).format(new Date(at));
}

/** @param {Moment} at */
export function hourMinute(at) {
  const parts = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  return formatter(Intl.DateTimeFormat, parts).format(new Date(at));
}

/** @param {Moment} at */
export function date(at) {
  return formatter(Intl.DateTimeFormat, { month: 'short', day: 'numeric' }).format(new Date(at));
}

/** @param {Moment} at */
export function dateTime(at) {
  return formatter(Intl.DateTimeFormat, { ...dayAndMinute(), second: '2-digit' }).format(new Date(at));
}

/** @param {Moment} at */
export function minute(at) {
  return formatter(Intl.DateTimeFormat, dayAndMinute()).format(new Date(at));
}

/** Hours of two digits, so that times below each other are equally long. */
function dayAndMinute() {
  const month = language() === 'ko' ? 'numeric' : 'short';
  return { year: 'numeric', month, day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  return formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
}

/** A part of one. @param {number} value */
export function percent(value) {
  return formatter(Intl.NumberFormat, { style: 'percent' }).format(value);
}

/** Milliseconds as a player shows them: `1:02:03`. @param {number} ms */
export function offset(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part, at) => (at ? String(part).padStart(2, '0') : part)).join(':');
}

/** Seconds in words: `10 min`. @param {number} seconds */
export function length(seconds) {
  for (const [unit, size] of /** @type {[string, number][]} */ ([
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ])) {
    if (seconds >= size && seconds % size === 0) return counted(unit, seconds / size);
  }
  return counted('second', seconds);
}

/** @param {string} unit @param {number} value */
function counted(unit, value) {
  return formatter(Intl.NumberFormat, { style: 'unit', unit, unitDisplay: 'short' }).format(value);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const style = /** @type {const} */ ({
    style: 'unit',
    unit: units[power],
    unitDisplay: 'short',
    maximumFractionDigits: 1,
  });
  return formatter(Intl.NumberFormat, style).format(bytes / 1_000 ** power);
}

/** A moment for `<input type="datetime-local">`, in the user's time zone. @param {string | null | undefined} iso */
export function toLocalInput(iso) {
  if (!iso) return '';
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** @param {string} value of such an input */
export function fromLocalInput(value) {
  return value ? new Date(value).toISOString() : '';
}

/** @param {string} role */
export function roleName(role) {
  return role === 'presenter' ? t('role.presenter') : role === 'moderator' ? t('role.moderator') : '';
}
