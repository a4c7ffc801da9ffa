// @ts-check
/** Two broadcasts of a room side by side, each over the time since its own start. */

import { chatterList, highlightList, part, wordList } from './broadcast-lists.js';
import { bucketSeconds, busiest, withoutRest } from './buckets.js';
import { comparisonChart } from './comparison-chart.js';
import { comparisonForm } from './comparison-form.js';
import { fill, h } from './dom.js';
import { minute, number, offset } from './format.js';
import { t } from './i18n.js';
import { Progress } from './progress.js';

/** @typedef {import('./broadcast-figures.js').BroadcastFigures} BroadcastFigures */

/** @param {HTMLElement} root @param {{ room: string, both: BroadcastFigures[], signal: AbortSignal }} view */
export function showComparison(root, { room, both, signal }) {
  const place = h('div', { class: 'chart' }, t('loading'));
  const seconds = bucketSeconds(Math.max(...both.map(({ lengthMs }) => lengthMs)));
  const buckets = both.map((figures) => figures.buckets(seconds));
  const highlights = both.map((figures) => figures.highlights());
  const progress = new Progress(4, (counts) => t('broadcast.figures', counts));
  const done = (/** @type {Promise<unknown>[]} */ parts) => Promise.all(parts).then(() => progress.step());
  const [peaks, chatters, words] = [
    pair(t('broadcast.peaks'), both, async (figures, at) => {
      const since = (/** @type {number} */ moment) => offset(moment - figures.startedAt);
      return highlightList(figures, await highlights[at], since);
    }),
    pair(t('broadcast.topChatters'), both, async (figures) => chatterList(await figures.chatters(), room)),
    pair(t('broadcast.topWords'), both, async (figures) => wordList(await figures.words(), room, figures.span)),
  ];
  for (const { parts } of [peaks, chatters, words]) done(parts);
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('compare.title')),
      comparisonForm({ room, shown: both[0], other: both[1], signal }),
      table(both, buckets, seconds),
      place,
      progress.element,
      [peaks, chatters, words].map(({ element }) => element),
    ),
  );
  const drawing = part(place, async () => {
    const curves = (await Promise.all(buckets)).map((buckets, at) => {
      const { startedAt, lengthMs } = both[at];
      return { label: minute(startedAt), startedAt, buckets: withoutRest(buckets, seconds, startedAt + lengthMs) };
    });
    const mark = await comparisonChart(place, { curves, bucketSeconds: seconds, signal });
    Promise.all(highlights.map((moments) => moments.catch(() => []))).then(mark);
  });
  done([drawing]);
}

/**
 * The figures of both, a column each.
 * @param {BroadcastFigures[]} both @param {Promise<import('./buckets.js').Bucket[]>[]} buckets
 * @param {number} seconds of a bucket
 */
function table(both, buckets, seconds) {
  const row = (/** @type {string} */ name, /** @type {(figures: BroadcastFigures, at: number) => any} */ cell) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      both.map((figures, at) => h('td', {}, cell(figures, at))),
    );
  const count = (/** @type {number | undefined} */ value) => (value === undefined ? '–' : number(value));
  const peak = (/** @type {BroadcastFigures} */ _, /** @type {number} */ index) => {
    const cell = h('span', {}, '…');
    part(cell, async () => {
      const { most, at } = busiest(await buckets[index], seconds);
      fill(cell, t('compare.peak', { most: number(most), at: offset(at) }));
    });
    return cell;
  };
  const perMinute = (/** @type {BroadcastFigures} */ { broadcast, lengthMs }) =>
    number(broadcast.messages / (lengthMs / 60_000), 1);
  return h(
    'table',
    { class: 'comparison' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('td', {}),
        both.map((figures, at) => h('th', { scope: 'col' }, title(figures, at))),
      ),
    ),
    h(
      'tbody',
      {},
      row(t('broadcasts.duration'), ({ broadcast: { durationMs } }) =>
        durationMs === null ? t('broadcast.running') : offset(durationMs),
      ),
      row(t('broadcasts.messages'), ({ broadcast }) => count(broadcast.messages)),
      row(t('compare.perMinute'), perMinute),
      row(t('compare.busiest', { seconds }), peak),
      row(t('broadcast.chatters'), ({ broadcast }) => count(broadcast.chatters)),
      both.some(({ broadcast }) => broadcast.deleted !== undefined) &&
        row(t('broadcast.deleted'), ({ broadcast }) => count(broadcast.deleted)),
    ),
  );
}

/** When it began, as a link, with the line that it has in the chart. @param {BroadcastFigures} figures @param {number} at */
function title({ address, startedAt }, at) {
  return [
    h('span', { class: at === 0 ? 'key' : 'key is-dashed', 'aria-hidden': 'true' }),
    h('a', { href: address }, minute(startedAt)),
  ];
}

/**
 * A list of each, side by side, and what ends when they are there.
 * @param {string} name @param {BroadcastFigures[]} both
 * @param {(figures: BroadcastFigures, at: number) => Promise<HTMLElement>} list
 */
function pair(name, both, list) {
  const places = both.map(() => h('div', {}, t('loading')));
  const parts = both.map((figures, at) => part(places[at], async () => fill(places[at], await list(figures, at))));
  const columns = both.map((figures, at) => h('div', {}, h('h3', {}, title(figures, at)), places[at]));
  return { element: h('section', {}, h('h2', {}, name), h('div', { class: 'sides' }, columns)), parts };
}
