// @ts-check
/** The broadcasts of a room, newest first: `#/rooms/{presenterIdx}/broadcasts`. */

import { get } from './api.js';
import { fill, h } from './dom.js';
import { minute, number, offset } from './format.js';
import { t } from './i18n.js';
import { pager } from './pages.js';
import { table } from './table.js';

const COLUMNS = ['started', 'duration', 'messages', 'replay'];

/** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
export async function mount(root, { room, signal }) {
  const list = table(
    t('view.broadcasts'),
    COLUMNS.map((name) => t(`broadcasts.${name}`)),
  );
  const load = async (/** @type {string | undefined} */ after) => {
    const { broadcasts: items, next } = await get('archive', `/v1/rooms/${room}/broadcasts`, {
      query: { after },
      signal,
    });
    return { items, next };
  };
  const row = (/** @type {any} */ { id, startedAt, durationMs, messages }) => {
    const href = `#/rooms/${room}/broadcasts/${id}`;
    return [
      h('a', { href }, minute(startedAt)),
      durationMs === null ? t('broadcast.running') : offset(durationMs),
      number(messages),
      h('a', { href: `${href}/replay` }, t('view.replay')),
    ];
  };
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.broadcasts')),
      list.element,
      pager({ load, show: (items) => list.append(items.map(row)) }),
      h('p', { class: 'quiet' }, t('broadcasts.explained')),
    ),
  );
}
