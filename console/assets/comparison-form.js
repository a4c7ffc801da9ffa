// @ts-check
/** Chooses the broadcast to compare with, among those of the room. */

import { get } from './api.js';
import { button, field, fill, h, select } from './dom.js';
import { minute, number, offset } from './format.js';
import { t } from './i18n.js';
import { Outcome } from './outcome.js';
import { address } from './routes.js';

/** @typedef {import('./broadcast-figures.js').BroadcastFigures} BroadcastFigures */

/** @param {{ room: string, shown: BroadcastFigures, other?: BroadcastFigures, signal: AbortSignal }} options */
export function comparisonForm({ room, shown, other, signal }) {
  const outcome = new Outcome();
  const choice = select({}, '', { name: 'with', required: true });
  const older = button(t('compare.older'), () => read().then(() => choice.focus()), { hidden: true });
  /** By id. @type {Map<string, any>} */
  const known = new Map();
  const add = (/** @type {any[]} */ broadcasts) => {
    const chosen = choice.value || other?.broadcast.id;
    for (const broadcast of broadcasts) if (broadcast.id !== shown.broadcast.id) known.set(broadcast.id, broadcast);
    const newestFirst = [...known.values()].sort((one, two) => Date.parse(two.startedAt) - Date.parse(one.startedAt));
    const option = (/** @type {any} */ broadcast) =>
      h('option', { value: broadcast.id, selected: broadcast.id === chosen }, described(broadcast));
    fill(choice, newestFirst.map(option));
  };
  if (other) add([other.broadcast]);
  /** @type {string | undefined} */
  let after;
  const read = () =>
    outcome.run(older, '', async () => {
      const { broadcasts, next } = await get('archive', `/v1/rooms/${room}/broadcasts`, { query: { after }, signal });
      add(broadcasts);
      after = next;
      older.hidden = !next;
      if (known.size === 0 && !next) fill(form, h('p', { class: 'quiet' }, t('compare.none')));
    });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    location.hash = address({ view: 'broadcast', room, broadcast: shown.broadcast.id, query: { with: choice.value } });
  };
  const form = h(
    'form',
    { class: 'comparing', on: { submit } },
    field(t('compare.with'), choice),
    h('button', { type: 'submit' }, t('compare.action')),
    older,
    outcome.element,
  );
  read();
  return form;
}

/** @param {any} broadcast */
function described({ startedAt, durationMs, messages }) {
  const length = durationMs === null ? t('broadcast.running') : offset(durationMs);
  return t('compare.option', { at: minute(startedAt), length, messages: number(messages) });
}
