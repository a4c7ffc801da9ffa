// @ts-check
/** The messages that viewers reported: `#/rooms/{presenterIdx}/reports`, and with `?state=closed` or `?state=all`. */

import { confirmWithReason } from './confirm.js';
import { button, fill, h, userText } from './dom.js';
import { dateTime, number } from './format.js';
import { hasText, t } from './i18n.js';
import { messageRow, nameOf, rowAction } from './message-row.js';
import { closeReports, deleteMessage, reports } from './moderation.js';
import { Outcome } from './outcome.js';
import { pager } from './pages.js';

const STATES = ['open', 'closed', 'all'];

/** @param {HTMLElement} root @param {{ room: string, query: Record<string, string>, signal: AbortSignal }} view */
export async function mount(root, { room, query, signal }) {
  const state = STATES.includes(query.state) ? query.state : 'open';
  const items = h('ol', { class: 'queue' });
  const list = h('div');
  const load = async (/** @type {string | undefined} */ after) => {
    const parameters = { state: state === 'all' ? '' : state, after };
    const { reports: found, next } = await reports(room, { query: parameters, signal });
    return { items: found, next };
  };
  const read = () => {
    fill(items);
    fill(list, pager({ load, show: (found) => items.append(...found.map((one) => row(room, one))) }));
  };
  const tab = (/** @type {string} */ name) =>
    h(
      'a',
      { href: `#/rooms/${room}/reports?state=${name}`, 'aria-current': name === state && 'page' },
      t(`reports.${name}`),
    );
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.reports')),
      h(
        'div',
        { class: 'line' },
        h('nav', { class: 'tabs', 'aria-label': t('reports.state') }, STATES.map(tab)),
        h('span', { class: 'space' }),
        button(t('reports.reload'), read),
      ),
      items,
      list,
    ),
  );
  read();
}

/** @param {string} room @param {any} reported */
function row(room, { message, state, count, categories, reports: each, closed }) {
  const outcome = new Outcome();
  const author = `#/rooms/${room}/search?user=${message.user.idx}&order=desc`;
  const buttons = h('div', { class: 'buttons' });
  const decide = async (
    /** @type {HTMLButtonElement} */ pressed,
    /** @type {string} */ done,
    /** @type {() => Promise<unknown>} */ decision,
  ) => {
    if (!(await outcome.run(pressed, done, decision))) return;
    for (const other of buttons.querySelectorAll('button')) other.hidden = true;
  };
  const remove = rowAction(t('message.delete'), () =>
    decide(remove, t('reports.deleted'), () => deleteMessage(room, message.id)),
  );
  const close = rowAction(t('reports.close'), async () => {
    const reason = await confirmWithReason(t('reports.closeQuestion'), t('reports.closeAction'));
    if (reason !== null) await decide(close, t('reports.done'), () => closeReports(room, message.id, reason));
  });
  if (state === 'open' && !message.deleted) buttons.append(remove);
  if (state === 'open') buttons.append(close);
  buttons.append(h('a', { href: author }, t('reports.author')));
  const counts = Object.entries(categories).map(([name, users]) => `${category(name)} ${number(users)}`);
  return h(
    'li',
    {},
    messageRow(message, { when: dateTime(message.sentAt) }),
    h('p', {}, t('reports.users', { count: number(count) }), ' – ', counts.join(', ')),
    h('details', {}, h('summary', {}, t('reports.each')), h('ul', {}, each.map(report))),
    closed && closing(closed),
    buttons,
    outcome.element,
  );
}

/** @param {any} report */
function report({ at, by, category: name, reason }) {
  const who = userText(nameOf(by), 'strong');
  return h('li', {}, dateTime(at), ' ', who, ` ${category(name)}`, reason && [': ', userText(reason)]);
}

/** @param {any} closed */
function closing({ at, by, reason }) {
  const who = by ? userText(nameOf(by)) : t('decision.someone');
  const why = reason && [': ', userText(reason)];
  return h('p', { class: 'quiet' }, t('reports.closedBy'), ' ', who, ' ', dateTime(at), why);
}

/** A category of a later version has no text. @param {string} name */
function category(name) {
  return hasText(`category.${name}`) ? t(`category.${name}`) : name;
}
