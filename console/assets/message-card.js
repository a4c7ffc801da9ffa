// @ts-check
/** Everything about one message: its attributes, what it answers, and how far it has come. */

import { get } from './api.js';
import { card } from './card.js';
import { button, fill, h } from './dom.js';
import { dateTime } from './format.js';
import { t } from './i18n.js';
import { messageRow } from './message-row.js';
import { Outcome } from './outcome.js';
import { replayAddress } from './recording-time.js';

/** The replay shows a message once its time has passed, and that of every message before it. Clocks of nodes differ. */
const AFTER_MS = 2_000;

/** @typedef {import('./message-row.js').Message} Message */

/** @param {{ room: string, message: Message, signal: AbortSignal, onClose: () => void }} options */
export function messageCard({ room, message, signal, onClose }) {
  const outcome = new Outcome();
  const answered = h('div');
  const trace = h('ul', { class: 'trace' }, h('li', {}, t('loading')));
  const path = `/v1/rooms/${room}/messages`;
  const loadTrace = async () => {
    try {
      const query = { position: message.position };
      const found = await get('archive', `${path}/${message.id}/trace`, { query, signal });
      fill(trace, ...steps(found).map((step) => h('li', {}, step)));
    } catch (error) {
      fill(trace);
      outcome.fail(error);
    }
  };
  const loadAnswered = async (/** @type {string} */ id) => {
    try {
      const found = await get('archive', `${path}/${id}`, { signal });
      fill(answered, h('h3', {}, t('card.answers')), messageRow(found, { when: dateTime(found.sentAt) }));
    } catch (error) {
      // What is answered may never have existed.
      if (/** @type {any} */ (error).status !== 404) outcome.fail(error);
    }
  };
  const toReplay = button(t('card.replay'), () =>
    outcome.run(toReplay, '', async () => {
      const span = { from: message.sentAt, to: message.sentAt, first: 1 };
      const { broadcasts } = await get('archive', `/v1/rooms/${room}/broadcasts`, { query: span, signal });
      if (broadcasts.length === 0) throw new Error(t('card.noBroadcast'));
      location.hash = replayAddress(room, broadcasts[0], Date.parse(message.sentAt), -AFTER_MS);
    }),
  );
  loadTrace();
  if (message.replyTo) loadAnswered(message.replyTo);
  return card(
    { title: t('card.title'), onClose },
    // What it answers stands below.
    messageRow({ ...message, replyTo: undefined }, { when: dateTime(message.sentAt) }),
    h('p', { class: 'quiet' }, t('card.id'), ' ', h('code', {}, message.id)),
    // Above what loads, so that it does not move from under the pointer.
    h('p', {}, toReplay),
    answered,
    h('h3', {}, t('card.where')),
    trace,
    outcome.element,
  );
}

/** The way of a message in sentences. @param {any} trace */
function steps({ accepted, presenter, archived, deleted }) {
  return [
    t('trace.accepted', { at: dateTime(accepted.sentAt) }),
    accepted.storedAt && t('trace.stored', { at: dateTime(accepted.storedAt) }),
    accepted.node && t('trace.node', { node: accepted.node }),
    t(`trace.${presenter.state}`),
    archival(archived),
    deleted && t('trace.deleted', { at: dateTime(deleted.at) }),
  ].filter(Boolean);
}

/** An archive of an earlier version kept no time. @param {{ state: string, at?: string }} archived */
function archival({ state, at }) {
  if (state !== 'archived') return t('trace.archivedNotYet');
  return at ? t('trace.archivedAt', { at: dateTime(at) }) : t('trace.archived');
}
