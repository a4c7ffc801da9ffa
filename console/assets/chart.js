// @ts-check
/** Messages and chatters over time, with the highlights marked. A click picks a moment. */

import { date, hourMinute, number, time } from './format.js';
import { t } from './i18n.js';
import { colour, frame, line, mark, plot } from './plot.js';

/** Seconds. */
const DAY = 86_400;

/** @typedef {import('./buckets.js').Bucket} Bucket */

/**
 * @param {HTMLElement} place
 * @param {{ buckets: Bucket[], bucketSeconds: number, highlights: { at: string, until: string }[],
 *   onPick: (at: number) => void, signal: AbortSignal }} options
 */
export function chart(place, { buckets, bucketSeconds, highlights, onPick, signal }) {
  const data = [
    buckets.map(({ at }) => Date.parse(at) / 1_000),
    buckets.map(({ messages }) => messages),
    buckets.map(({ chatters }) => chatters),
  ];
  const most = Math.max(0, ...data[1]);
  const label = t('chart.label', { most: number(most), seconds: bucketSeconds, peaks: highlights.length });
  const options = () => {
    const shared = frame();
    const spans = highlights.map(({ at, until }) => ({ from: Date.parse(at) / 1_000, to: Date.parse(until) / 1_000 }));
    const warn = colour('--warn');
    return {
      ...shared,
      axes: [{ ...shared.axes[0], values: moments }, shared.axes[1]],
      series: [
        {
          label: t('chart.time'),
          value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? '–' : time(at * 1_000)),
        },
        line(t('chart.messages', { seconds: bucketSeconds }), colour('--accent')),
        line(t('chart.chatters', { seconds: bucketSeconds }), colour('--good'), [5, 3]),
      ],
      hooks: { drawClear: [(/** @type {any} */ plot) => mark(plot, spans, warn)] },
    };
  };
  return plot(place, { data, options, label, onClick: (seconds) => onPick(seconds * 1_000), signal });
}

/**
 * The marks of the time axis, as exactly as they are apart.
 * @param {any} _plot @param {number[]} marks @param {number} _axis @param {number} _space @param {number} apart in seconds
 */
function moments(_plot, marks, _axis, _space, apart) {
  const shown = apart >= DAY ? date : apart >= 60 ? hourMinute : time;
  return marks.map((mark) => shown(mark * 1_000));
}
