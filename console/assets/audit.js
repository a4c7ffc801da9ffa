// @ts-check
/** The audit trail of a room: `#/rooms/{presenterIdx}/audit`. The address holds the filters. */

import { get } from './api.js';
import { decisionText } from './decision-text.js';
import { field, fill, h, select } from './dom.js';
import { dateTime, fromLocalInput, toLocalInput } from './format.js';
import { t } from './i18n.js';
import { pager } from './pages.js';
import { address } from './routes.js';

const TYPES = [
  'message.deleted',
  'message.restored',
  'message.held',
  'message.released',
  'message.denied',
  'message.pinned',
  'message.unpinned',
  'notice.posted',
  'report.closed',
  'room.cleared',
  'room.swept',
  'sweep.undone',
  'room.updated',
  'user.banned',
  'user.unbanned',
  'moderator.added',
  'moderator.removed',
  'user.warned',
  'warning.sent',
  'warning.withdrawn',
  'note.added',
  'note.deleted',
];

/** @param {HTMLElement} root @param {{ room: string, query: Record<string, string>, signal: AbortSignal }} view */
export async function mount(root, { room, query, signal }) {
  const parameters = { ...query, order: query.order ?? 'desc' };
  const list = h('ol', { class: 'decisions' });
  const load = async (/** @type {string | undefined} */ after) => {
    const path = `/v1/rooms/${room}/moderation`;
    const { decisions: items, next } = await get('archive', path, { query: { ...parameters, after }, signal });
    return { items, next };
  };
  const row = (/** @type {any} */ decision) =>
    h('li', { class: 'event' }, h('time', { datetime: decision.at }, dateTime(decision.at)), decisionText(decision));
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.audit')),
      form(room, parameters),
      list,
      pager({ load, show: (items) => list.append(...items.map(row)) }),
    ),
  );
}

/** @param {string} room @param {Record<string, string>} query */
function form(room, query) {
  const types = { '': t('audit.all'), ...Object.fromEntries(TYPES.map((type) => [type, t(`audit.${type}`)])) };
  const at = (/** @type {string} */ name) =>
    h('input', { type: 'datetime-local', step: 1, name, value: toLocalInput(query[name]) });
  const idx = (/** @type {string} */ name) => h('input', { name, inputmode: 'numeric', value: query[name] ?? '' });
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = /** @type {Record<string, string>} */ (
      Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (event.target)))
    );
    const times = { from: fromLocalInput(given.from), to: fromLocalInput(given.to) };
    location.hash = address({ view: 'audit', room, query: { ...given, ...times } });
  };
  return h(
    'form',
    { class: 'filters wide', on: { submit } },
    field(t('audit.type'), select(types, query.type ?? '', { name: 'type' })),
    field(t('audit.by'), idx('by')),
    field(t('audit.user'), idx('user')),
    field(t('search.from'), at('from')),
    field(t('search.to'), at('to')),
    h('button', { type: 'submit', class: 'primary' }, t('search.action')),
  );
}
