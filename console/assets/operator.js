// @ts-check
/** How the service is doing, as far as a browser may see it: `#/operator`. It needs no scope. */

import { bases, get } from './api.js';
import { fill, h } from './dom.js';
import { dateTime, number, size } from './format.js';
import { t } from './i18n.js';
import { isAbort, Outcome } from './outcome.js';
import { table } from './table.js';

const COLUMNS = ['stream', 'waiting', 'held', 'fill', 'oldest'];

const EVERY_MS = 5_000;

/** An answer about readiness is short. */
const READY_MS = 4_000;

/** @param {HTMLElement} root @param {{ signal: AbortSignal }} view */
export async function mount(root, { signal }) {
  // Nothing in it takes the focus, and it may be longer than the screen: the keyboard scrolls it.
  root.tabIndex = 0;
  const outcome = new Outcome();
  const roles = h('div', { class: 'tiles' });
  const archive = h('div');
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('view.operator')),
      h('p', { class: 'quiet' }, t('operator.explained')),
      roles,
      archive,
      outcome.element,
    ),
  );
  const refresh = async () => {
    fill(roles, ...(await Promise.all(['ingest', 'delivery', 'archive'].map((role) => tile(role, signal)))));
    try {
      fill(archive, ...status(await get('archive', '/v1/status', { signal })));
      outcome.clear();
    } catch (error) {
      if (!isAbort(error)) outcome.fail(error);
    }
  };
  await refresh();
  const timer = setInterval(refresh, EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}

/** @param {string} role @param {AbortSignal} signal */
async function tile(role, signal) {
  let [state, reason] = ['stopped', t('operator.unreachable')];
  try {
    const base = bases[/** @type {import('./api.js').Role} */ (role)];
    const answer = await fetch(`${base}/readyz`, { signal: AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]) });
    state = answer.ok ? 'live' : 'waiting';
    reason = (await answer.text()).slice(0, 200);
  } catch (error) {
    if (signal.aborted) throw error;
  }
  const label = state === 'live' ? t('operator.ready') : t('operator.notReady');
  return h(
    'div',
    { class: 'tile' },
    h('h2', {}, t(`operator.${role}`)),
    h('p', { class: 'status', data: { state } }, label),
    state !== 'live' && h('p', { class: 'quiet' }, reason),
  );
}

/** @param {any} status */
function status({ startedAt, mongodb, archived, lagMs, writes, log, missing }) {
  const facts = /** @type {[string, string][]} */ ([
    [t('operator.mongodb'), mongodb.writable ? t('operator.writable') : (mongodb.reason ?? t('operator.notReady'))],
    [t('operator.lag'), lagMs === undefined ? '–' : `${number(lagMs)} ms`],
    [
      t('operator.commit'),
      writes.recent === 0 ? '–' : `${number(writes.commitMs.p50)} / ${number(writes.commitMs.p99)} ms`,
    ],
    [t('operator.messages'), number(archived.messages)],
    [t('operator.duplicates'), number(archived.duplicates)],
    [t('operator.quarantined'), number(archived.quarantined)],
    [t('operator.missing'), number(missing.batches)],
    [t('operator.started'), dateTime(startedAt)],
  ]);
  const streams = table(
    t('operator.log'),
    COLUMNS.map((name) => t(`operator.${name}`)),
  );
  streams.append((log?.streams ?? []).map(stream));
  return [
    h(
      'dl',
      { class: 'facts' },
      facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
    ),
    h('h2', {}, t('operator.log')),
    streams.element,
  ];
}

/** @param {any} stream */
function stream({ name, waitingBatches, heldBatches, bytes, maxBytes, oldestAt }) {
  const share = maxBytes ? ` (${number((100 * bytes) / maxBytes, 1)} %)` : '';
  return [
    name,
    number(waitingBatches),
    number(heldBatches),
    `${size(bytes)}${share}`,
    oldestAt ? dateTime(oldestAt) : '–',
  ];
}
