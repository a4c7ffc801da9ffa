// @ts-check
/** Bans that apply now: `#/rooms/{presenterIdx}/bans`, and with `?place=everywhere` those in every room. */

import { button, fill, h, userText } from './dom.js';
import { minute } from './format.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { bans, unban } from './moderation.js';
import { Outcome } from './outcome.js';
import { pager } from './pages.js';
import { session } from './session.js';
import { table } from './table.js';

const COLUMNS = ['user', 'since', 'until', 'by', 'reason', 'action'];

/** @param {HTMLElement} root @param {{ room: string, query: Record<string, string>, signal: AbortSignal }} view */
export async function mount(root, { room, query, signal }) {
  const everywhere = query.place === 'everywhere';
  const list = table(
    t('view.bans'),
    COLUMNS.map((name) => t(`bans.${name}`)),
  );
  const load = async (/** @type {string | undefined} */ after) => {
    const { bans: items, next } = await bans(room, everywhere, { query: { after }, signal });
    return { items, next };
  };
  const place = (/** @type {string} */ label, /** @type {string} */ href, /** @type {boolean} */ isCurrent) =>
    h('a', { href, 'aria-current': isCurrent && 'page' }, label);
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.bans')),
      session.has('chat:moderate') &&
        h(
          'nav',
          { class: 'tabs', 'aria-label': t('bans.place') },
          place(t('bans.room', { room }), `#/rooms/${room}/bans`, !everywhere),
          place(t('bans.everywhere'), `#/rooms/${room}/bans?place=everywhere`, everywhere),
        ),
      list.element,
      pager({ load, show: (items) => list.append(items.map((ban) => row(room, everywhere, ban))) }),
    ),
  );
}

/** @param {string} room @param {boolean} everywhere @param {any} ban */
function row(room, everywhere, { user, at, until, by, reason }) {
  const outcome = new Outcome();
  const end = button(
    t('ban.end'),
    async () => {
      if (await outcome.run(end, t('ban.ended'), () => unban(room, user, { everywhere }))) end.hidden = true;
    },
    { class: 'small' },
  );
  return [
    h('a', { href: `#/rooms/${room}/search?user=${user}&order=desc` }, String(user)),
    minute(at),
    until ? minute(until) : t('ban.forever'),
    by && userText(nameOf(by)),
    reason && userText(reason),
    [end, outcome.element],
  ];
}
