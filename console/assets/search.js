// @ts-check
/** Search in a room's archive: `#/rooms/{presenterIdx}/search?text=…`. The address holds the search. */

import { get } from './api.js';
import { button, field, fill, h, select } from './dom.js';
import { exportButtons, messageFormats } from './exports.js';
import { dateTime, fromLocalInput, toLocalInput } from './format.js';
import { t } from './i18n.js';
import { MessageList } from './message-list.js';
import { messageCard } from './message-card.js';
import { flagName, messageRow, rowAction } from './message-row.js';
import { deleteMessage, mayModerate, restoreMessage } from './moderation.js';
import { explain, isAbort } from './outcome.js';
import { pager } from './pages.js';
import { address } from './routes.js';
import { UserCard } from './user-card.js';

/** Labels of the built-in word filter, and of messages that were not reviewed. Others can be typed. */
const FLAGS = ['ko.abuse', 'ko.vulgar', 'en.abuse', 'en.vulgar', 'room', 'review.unavailable'];

/** @param {HTMLElement} root @param {{ room: string, query: Record<string, string>, signal: AbortSignal }} view */
export async function mount(root, { room, query, signal }) {
  const isModerator = await mayModerate(room, { signal }).catch((error) => {
    if (isAbort(error)) throw error;
    return false;
  });
  const parameters = { ...query, order: query.order ?? 'desc' };
  const panel = h('aside', { class: 'panel' });
  const filters = h('section', {});
  const open = (/** @type {HTMLElement} */ content) => {
    panel.classList.add('is-open');
    fill(panel, content === filters && button(t('close'), close, { class: 'only-narrow close' }), content);
    panel.querySelector('h2')?.focus();
  };
  const close = () => {
    panel.classList.remove('is-open');
    fill(panel, filters);
  };
  const openUser = (/** @type {any} */ user) =>
    open(new UserCard({ room, user, signal, mayModerate: isModerator, onClose: close }).element);
  const list = new MessageList({
    label: t('search.results'),
    render: (item) => {
      const { message, note } = item;
      const decide = async (/** @type {typeof restoreMessage} */ decision, /** @type {any} */ deleted) => {
        try {
          await decision(room, message.id);
          item.message = { ...message, deleted };
          item.note = undefined;
        } catch (error) {
          item.note = explain(error);
        }
        list.update(item);
      };
      const details = () => open(messageCard({ room, message, signal, onClose: close }));
      const actions = [rowAction(t('message.details'), details)];
      if (isModerator && message.deleted)
        actions.unshift(rowAction(t('message.restore'), () => decide(restoreMessage, null)));
      else if (isModerator) actions.unshift(rowAction(t('message.delete'), () => decide(deleteMessage, {})));
      return messageRow(message, { when: dateTime(message.sentAt), onUser: openUser, actions, note });
    },
    onKey: ({ message }, key) => {
      if (key === 'Enter') openUser(message.user);
      return key === 'Enter';
    },
    keys: t('list.keys.user'),
  });
  signal.addEventListener('abort', () => list.close());
  const load = async (/** @type {string | undefined} */ after) => {
    const { messages, next } = await get('archive', `/v1/rooms/${room}/messages`, {
      query: { ...parameters, after },
      signal,
    });
    return { items: messages.map((/** @type {any} */ message) => ({ message })), next };
  };
  fill(
    filters,
    h('h2', { tabindex: '-1' }, t('search.title', { room })),
    form(room, parameters, isModerator),
    h('h3', {}, t('exports.title')),
    exportButtons({ path: `/v1/rooms/${room}/export`, query: () => parameters, formats: messageFormats(), signal }),
  );
  fill(panel, filters);
  fill(
    root,
    h(
      'section',
      { class: 'split search' },
      h('h1', { class: 'visually-hidden' }, t('view.search')),
      h(
        'div',
        { class: 'stream' },
        h(
          'div',
          { class: 'bar only-narrow' },
          button(t('search.filters'), () => open(filters)),
        ),
        list.element,
        pager({ load, show: (items) => list.append(items), onNone: () => list.whenEmpty(t('pages.none')) }),
      ),
      panel,
    ),
  );
}

/** @param {string} room @param {Record<string, string>} query @param {boolean} isModerator */
function form(room, query, isModerator) {
  const at = (/** @type {string} */ name) =>
    h('input', { type: 'datetime-local', step: 1, name, value: toLocalInput(query[name]) });
  const deleted = {
    '': t('search.deleted.none'),
    include: t('search.deleted.include'),
    only: t('search.deleted.only'),
  };
  const flags = h(
    'datalist',
    { id: 'flags' },
    FLAGS.map((value) => h('option', { value, label: `${value} – ${flagName(value)}` })),
  );
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = /** @type {Record<string, string>} */ (
      Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (event.target)))
    );
    const hash = address({
      view: 'search',
      room,
      query: { ...given, from: fromLocalInput(given.from), to: fromLocalInput(given.to) },
    });
    if (location.hash === hash) dispatchEvent(new HashChangeEvent('hashchange'));
    else location.hash = hash;
  };
  return h(
    'form',
    { class: 'filters', on: { submit } },
    field(t('search.text'), h('input', { type: 'search', name: 'text', value: query.text ?? '', autocomplete: 'off' })),
    field(
      t('search.user'),
      h('input', { name: 'user', inputmode: 'numeric', value: query.user ?? '', autocomplete: 'off' }),
    ),
    field(t('search.from'), at('from')),
    field(t('search.to'), at('to')),
    field(
      t('search.flag'),
      h('input', { name: 'flag', list: 'flags', value: query.flag ?? '', autocomplete: 'off' }),
      flags,
    ),
    field(
      t('search.attribute'),
      h('input', { name: 'attribute', value: query.attribute ?? '', placeholder: 'amount:5', autocomplete: 'off' }),
    ),
    field(t('search.emote'), h('input', { name: 'emote', value: query.emote ?? '', autocomplete: 'off' })),
    isModerator && field(t('search.deleted'), select(deleted, query.deleted ?? '', { name: 'deleted' })),
    field(t('order'), select({ desc: t('order.desc'), asc: t('order.asc') }, query.order, { name: 'order' })),
    h('div', { class: 'buttons' }, h('button', { type: 'submit', class: 'primary' }, t('search.action'))),
  );
}
