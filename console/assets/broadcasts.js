// @ts-check
/** The broadcasts of a room, newest first: `#/rooms/{presenterIdx}/broadcasts`. */

import { get } from './api.js';
import { fill, h } from './dom.js';
import { minute, number, offset } from './format.js';
import { t } from './i18n.js';
import { pager } from './pages.js';

/** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
export async function mount(root, { room, signal }) {
  const body = h('tbody');
  const load = async (/** @type {string | undefined} */ after) => {
    const { broadcasts: items, next } = await get('archive', `/v1/rooms/${room}/broadcasts`, {
      query: { after },
      signal,
    });
    return { items, next };
  };
  const row = (/** @type {any} */ { id, startedAt, durationMs, messages }) => {
    const href = `#/rooms/${room}/broadcasts/${id}`;
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, h('a', { href }, minute(startedAt))),
      h('td', {}, durationMs === null ? t('broadcast.running') : offset(durationMs)),
      h('td', { class: 'figure' }, number(messages)),
      h('td', {}, h('a', { href: `${href}/replay` }, t('view.replay'))),
    );
  };
  const columns = ['started', 'duration', 'messages', 'replay'];
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.broadcasts')),
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            columns.map((name) => h('th', { scope: 'col' }, t(`broadcasts.${name}`))),
          ),
        ),
        body,
      ),
      pager({ load, show: (items) => body.append(...items.map(row)) }),
      h('p', { class: 'quiet' }, t('broadcasts.explained')),
    ),
  );
}
