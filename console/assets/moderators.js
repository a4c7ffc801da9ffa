// @ts-check
/** The moderators of a room: `#/rooms/{presenterIdx}/moderators`. The presenter appoints and removes them here. */

import { button, field, fill, h, userText } from './dom.js';
import { minute } from './format.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { appoint, moderators, removeModerator } from './moderation.js';
import { Outcome } from './outcome.js';
import { pager } from './pages.js';
import { table } from './table.js';

const COLUMNS = ['user', 'since', 'by', 'reason', 'action'];

/** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
export async function mount(root, { room, signal }) {
  const records = table(
    t('view.moderators'),
    COLUMNS.map((name) => t(`bans.${name}`)),
  );
  const load = async (/** @type {string | undefined} */ after) => {
    const { moderators: items, next } = await moderators(room, { query: { after }, signal });
    return { items, next };
  };
  /** Of all pages that were asked for, the last one is on display. */
  const list = h('div');
  const read = () => {
    records.clear();
    fill(list, pager({ load, show: (items) => records.append(items.map((moderator) => row(room, moderator))) }));
  };
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.moderators')),
      h('p', { class: 'quiet' }, t('moderators.explained')),
      appointing(room, read),
      records.element,
      list,
    ),
  );
  read();
}

/** @param {string} room @param {() => void} read */
function appointing(room, read) {
  const outcome = new Outcome();
  const user = h('input', { name: 'user', inputmode: 'numeric', pattern: '[1-9][0-9]{0,15}', required: true });
  const reason = h('input', { name: 'reason', maxlength: 500, autocomplete: 'off' });
  const action = h('button', { type: 'submit', class: 'primary' }, t('moderators.appoint'));
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const done = await outcome.run(action, t('moderators.appointed'), () =>
      appoint(room, user.value, { reason: reason.value }),
    );
    if (!done) return;
    user.value = '';
    reason.value = '';
    read();
  };
  return h(
    'form',
    { class: 'filters wide', on: { submit } },
    field(t('moderators.user'), user),
    field(t('bans.reason'), reason),
    action,
    outcome.element,
  );
}

/** @param {string} room @param {any} moderator */
function row(room, { user, at, by, reason }) {
  const outcome = new Outcome();
  const remove = button(
    t('moderators.remove'),
    async () => {
      const done = await outcome.run(remove, t('moderators.removed'), () => removeModerator(room, user));
      if (done) remove.hidden = true;
    },
    { class: 'small' },
  );
  return [
    h('a', { href: `#/rooms/${room}/search?user=${user}&order=desc` }, String(user)),
    minute(at),
    by && userText(nameOf(by)),
    reason && userText(reason),
    [remove, outcome.element],
  ];
}
