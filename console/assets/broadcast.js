// @ts-check
/** A broadcast in figures: `#/rooms/{presenterIdx}/broadcasts/{id}`. */

import { get } from './api.js';
import { chart } from './chart.js';
import { fill, h, userText } from './dom.js';
import { broadcastFormats, exportButtons } from './exports.js';
import { minute, number, offset, time } from './format.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { Outcome } from './outcome.js';
import { recordingTime } from './recording-time.js';

/** The chart has at most so many points. */
const POINTS = 600;

/** Seconds of a bucket. */
const BUCKETS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400];

/** The archive computes statistics of at most 31 days. */
const LONGEST_MS = 31 * 86_400_000;

/** Highlights count buckets of ten seconds, or of a minute where there would be too many. */
const HIGHLIGHT_SECONDS = [10, 60];
const MAX_BUCKETS = 10_000;

/** @param {HTMLElement} root @param {{ room: string, broadcast: string, signal: AbortSignal }} view */
export async function mount(root, { room, broadcast: id, signal }) {
  const found = await get('archive', `/v1/rooms/${room}/broadcasts/${id}`, { signal });
  const replay = `#/rooms/${room}/broadcasts/${id}/replay`;
  const from = Date.parse(found.startedAt);
  const end = found.endedAt ? Date.parse(found.endedAt) + 1 : Date.now();
  const to = Math.max(from + 1_000, Math.min(end, from + LONGEST_MS));
  const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const path = `/v1/rooms/${room}/statistics`;
  const statistics = (/** @type {string} */ part, /** @type {Record<string, any>} */ query = {}) =>
    get('archive', path + part, { query: { ...span, ...query }, signal });
  const replayAt = (/** @type {number} */ at) =>
    `${replay}?t=${Math.max(0, Math.round(recordingTime(found, at) - 5_000))}`;
  const place = h('div', { class: 'chart' }, t('loading'));
  const highlights = h('section', {}, t('loading'));
  const chatters = h('section', {}, t('loading'));
  const words = h('section', {}, t('loading'));
  fill(
    root,
    h(
      'div',
      { class: 'page' },
      h('h1', {}, t('broadcast.title', { at: minute(found.startedAt) })),
      facts(found),
      h('p', { class: 'buttons' }, h('a', { class: 'button', href: replay }, t('broadcast.replay'))),
      place,
      h('div', { class: 'columns' }, highlights, chatters, words),
      h('h2', {}, t('exports.title')),
      exportButtons({
        path: `/v1/rooms/${room}/broadcasts/${id}/export`,
        query: () => ({}),
        formats: broadcastFormats(),
        signal,
      }),
    ),
  );
  const bucketSeconds = BUCKETS.find((seconds) => (to - from) / 1_000 / seconds <= POINTS) ?? 86_400;
  const peakSeconds = HIGHLIGHT_SECONDS.find((seconds) => (to - from) / 1_000 / seconds <= MAX_BUCKETS) ?? 60;
  // Each part is shown when it is there; one that fails says so in its own place.
  const peaks = statistics('/highlights', { bucketSeconds: peakSeconds });
  await Promise.all([
    part(highlights, async () => fill(highlights, ...peakList((await peaks).highlights, replayAt))),
    part(chatters, async () => fill(chatters, ...chatterList(await statistics('/chatters'), room))),
    part(words, async () => fill(words, ...wordList(await statistics('/words', { first: 30 }), room, span))),
    part(place, async () => {
      const { buckets } = await statistics('', { bucketSeconds });
      const marked = await peaks.then(
        ({ highlights }) => highlights,
        () => [],
      );
      const pick = (/** @type {number} */ at) => (location.hash = replayAt(at));
      await chart(place, { buckets, bucketSeconds, highlights: marked, onPick: pick, signal });
    }),
  ]);
}

/** @param {Element} place @param {() => Promise<unknown>} show */
async function part(place, show) {
  try {
    await show();
  } catch (error) {
    const outcome = new Outcome();
    outcome.fail(error);
    fill(place, outcome.element);
  }
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

/** @param {any[]} highlights @param {(at: number) => string} replayAt */
function peakList(highlights, replayAt) {
  const item = (/** @type {any} */ { at, peakAt, chatters, messages, samples }) =>
    h(
      'li',
      {},
      h('a', { href: replayAt(Date.parse(at)) }, time(peakAt)),
      h(
        'span',
        { class: 'quiet' },
        ` ${t('broadcast.peak', { chatters: number(chatters), messages: number(messages) })}`,
      ),
      h(
        'div',
        { class: 'samples' },
        samples.map((/** @type {any} */ { text }) => h('q', {}, userText(text))),
      ),
    );
  const none = h('p', { class: 'quiet' }, t('broadcast.noPeaks'));
  return [
    h('h2', {}, t('broadcast.peaks')),
    highlights.length > 0 ? h('ol', { class: 'peaks' }, highlights.map(item)) : none,
  ];
}

/** @param {{ chatters: any[] }} answer @param {string} room */
function chatterList({ chatters }, room) {
  const entries = chatters.map(({ user, messages }) => {
    const href = `#/rooms/${room}/search?user=${user.idx}&order=desc`;
    return { label: userText(nameOf(user)), href, value: messages };
  });
  return [h('h2', {}, t('broadcast.topChatters')), ranking(entries)];
}

/** @param {{ words: any[] }} answer @param {string} room @param {{ from: string, to: string }} span */
function wordList({ words }, room, span) {
  const entries = words.map(({ word, messages }) => {
    const query = new URLSearchParams({ text: word, ...span });
    return { label: userText(word), href: `#/rooms/${room}/search?${query}`, value: messages };
  });
  return [h('h2', {}, t('broadcast.topWords')), ranking(entries)];
}

/** @param {{ label: HTMLElement, href: string, value: number }[]} entries the highest first */
function ranking(entries) {
  const most = entries[0]?.value ?? 1;
  const item = (/** @type {typeof entries[number]} */ { label, href, value }) => {
    const bar = h('span', { class: 'ranking-bar', 'aria-hidden': 'true' });
    bar.style.width = `${(100 * value) / most}%`;
    return h('li', {}, bar, h('a', { href }, label), h('span', { class: 'figure' }, number(value)));
  };
  return h('ol', { class: 'ranking' }, entries.map(item));
}
