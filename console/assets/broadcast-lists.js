// @ts-check
/** The figures of a broadcast as lists. */

import { fill, h, userText } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';
import { nameOf } from './message-row.js';
import { Outcome } from './outcome.js';

/** @typedef {import('./broadcast-figures.js').BroadcastFigures} BroadcastFigures */

/**
 * Each part is shown when it is there; one that fails says so in its own place.
 * @param {Element} place @param {() => Promise<unknown>} show
 */
export async function part(place, show) {
  try {
    await show();
  } catch (error) {
    const outcome = new Outcome();
    outcome.fail(error);
    fill(place, outcome.element);
  }
}

/**
 * @param {BroadcastFigures} figures @param {import('./broadcast-figures.js').Highlight[]} highlights
 * @param {(at: number) => string} when what a highlight's moment is called
 */
export function highlightList(figures, highlights, when) {
  if (highlights.length === 0) return h('p', { class: 'quiet' }, t('broadcast.noPeaks'));
  const item = (/** @type {typeof highlights[number]} */ { at, peakAt, chatters, messages, samples }) => {
    const size = t('broadcast.peak', { chatters: number(chatters), messages: number(messages) });
    return h(
      'li',
      {},
      h('a', { href: figures.replayAt(Date.parse(at)) }, when(Date.parse(peakAt))),
      h('span', { class: 'quiet' }, ` ${size}`),
      h(
        'div',
        { class: 'samples' },
        samples.map(({ text }) => h('q', {}, userText(text))),
      ),
    );
  };
  return h('ol', { class: 'peaks' }, highlights.map(item));
}

/** @param {any[]} chatters the busiest first @param {string} room */
export function chatterList(chatters, room) {
  const entries = chatters.map(({ user, messages }) => {
    const href = `#/rooms/${room}/search?user=${user.idx}&order=desc`;
    return { label: userText(nameOf(user)), href, value: messages };
  });
  return ranking(entries);
}

/** @param {any[]} words the most frequent first @param {string} room @param {{ from: string, to: string }} span */
export function wordList(words, room, span) {
  const entries = words.map(({ word, messages }) => {
    const query = new URLSearchParams({ text: word, ...span });
    return { label: userText(word), href: `#/rooms/${room}/search?${query}`, value: messages };
  });
  return ranking(entries);
}

/** @param {{ label: HTMLElement, href: string, value: number }[]} entries the highest first */
function ranking(entries) {
  if (entries.length === 0) return h('p', { class: 'quiet' }, t('broadcast.nothing'));
  const most = entries[0].value;
  const item = (/** @type {typeof entries[number]} */ { label, href, value }) => {
    const bar = h('span', { class: 'ranking-bar', 'aria-hidden': 'true' });
    bar.style.width = `${(100 * value) / most}%`;
    return h('li', {}, bar, h('a', { href }, label), h('span', { class: 'figure' }, number(value)));
  };
  return h('ol', { class: 'ranking' }, entries.map(item));
}
