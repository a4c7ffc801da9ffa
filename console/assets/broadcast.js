// @ts-check
/**
 * A broadcast in figures: `#/rooms/{presenterIdx}/broadcasts/{id}`, and with `?with={id}` beside another broadcast of
 * the room.
 */

import { BroadcastFigures } from './broadcast-figures.js';
import { chatterList, highlightList, part, wordList } from './broadcast-lists.js';
import { bucketSeconds, busiest } from './buckets.js';
import { chart } from './chart.js';
import { showComparison } from './comparison.js';
import { comparisonForm } from './comparison-form.js';
import { fill, h } from './dom.js';
import { broadcastFormats, exportButtons } from './exports.js';
import { minute, number, offset, time } from './format.js';
import { t } from './i18n.js';
import { Progress } from './progress.js';
import { isId } from './routes.js';

/** @typedef {{ room: string, broadcast: string, query: Record<string, string>, signal: AbortSignal }} View */

/** @param {HTMLElement} root @param {View} view */
export async function mount(root, { room, broadcast, query, signal }) {
  const title = t(isId(query.with) ? 'compare.title' : 'view.broadcast');
  fill(root, h('div', { class: 'page' }, h('h1', {}, title), h('p', { role: 'status' }, t('broadcast.counting'))));
  const ids = isId(query.with) ? [broadcast, query.with] : [broadcast];
  const [shown, other] = await Promise.all(ids.map((id) => BroadcastFigures.load(room, id, signal)));
  // Each session of a broadcast names it, so that two ids may be one broadcast.
  if (other && other.broadcast.id !== shown.broadcast.id) showComparison(root, { room, both: [shown, other], signal });
  else showOne(root, { room, shown, signal });
}

/** @param {HTMLElement} root @param {{ room: string, shown: BroadcastFigures, signal: AbortSignal }} view */
function showOne(root, { room, shown, signal }) {
  const { broadcast } = shown;
  const place = h('div', { class: 'chart' }, t('loading'));
  const peak = h('p', {}, '\u00a0');
  const progress = new Progress(4, (counts) => t('broadcast.figures', counts));
  const highlights = h('div', {}, t('loading'));
  const chatters = h('div', {}, t('loading'));
  const words = h('div', {}, t('loading'));
  const section = (/** @type {string} */ title, /** @type {HTMLElement} */ content) =>
    h('section', {}, h('h2', {}, title), content);
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('broadcast.title', { at: minute(broadcast.startedAt) })),
      facts(broadcast),
      h(
        'div',
        { class: 'line' },
        h('a', { class: 'button', href: shown.replay }, t('broadcast.replay')),
        h('span', { class: 'space' }),
        comparisonForm({ room, shown, signal }),
      ),
      place,
      peak,
      progress.element,
      h(
        'div',
        { class: 'columns' },
        section(t('broadcast.peaks'), highlights),
        section(t('broadcast.topChatters'), chatters),
        section(t('broadcast.topWords'), words),
      ),
      h('h2', {}, t('exports.title')),
      exportButtons({
        path: `/v1/rooms/${room}/broadcasts/${broadcast.id}/export`,
        query: () => ({}),
        formats: broadcastFormats(),
        signal,
      }),
    ),
  );
  // In this order the archive is asked: what is looked at first comes first.
  const seconds = bucketSeconds(shown.lengthMs);
  const counts = shown.buckets(seconds);
  const peaks = shown.highlights();
  const parts = [
    part(place, async () => {
      const buckets = await counts;
      const { most, at } = busiest(buckets, seconds);
      const moment = shown.startedAt + at;
      const link = h('a', { href: shown.replayAt(moment) }, time(moment));
      if (most > 0) fill(peak, t('broadcast.busiest', { seconds, most: number(most) }), ' ', link);
      const pick = (/** @type {number} */ at) => (location.hash = shown.replayAt(at));
      const until = shown.startedAt + shown.lengthMs;
      const mark = await chart(place, { buckets, bucketSeconds: seconds, until, onPick: pick, signal });
      peaks.then(mark, () => {});
    }),
    part(highlights, async () => fill(highlights, highlightList(shown, await peaks, time))),
    part(chatters, async () => fill(chatters, chatterList(await shown.chatters(), room))),
    part(words, async () => fill(words, wordList(await shown.words(), room, shown.span))),
  ];
  for (const one of parts) one.then(() => progress.step());
}

/** @param {any} broadcast */
function facts({ startedAt, endedAt, durationMs, messages, chatters, deleted }) {
  const known = /** @type {[string, string | null][]} */ ([
    [t('broadcasts.started'), minute(startedAt)],
    [t('broadcast.ended'), endedAt ? minute(endedAt) : t('broadcast.running')],
    [t('broadcasts.duration'), durationMs === null ? null : offset(durationMs)],
    [t('broadcasts.messages'), number(messages)],
    [t('broadcast.chatters'), chatters === undefined ? null : number(chatters)],
    [t('broadcast.deleted'), deleted === undefined ? null : number(deleted)],
  ]);
  const shown = known.filter(([, value]) => value !== null);
  return h(
    'dl',
    { class: 'facts' },
    shown.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
  );
}
