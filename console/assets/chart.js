// @ts-check
/** Messages and chatters over time. Highlights are marked once they are known. A click picks a moment. */

import { withoutRest } from './buckets.js';
import { date, hourMinute, number, time } from './format.js';
import { t } from './i18n.js';
import { colour, frame, line, mark, plot } from './plot.js';

/** Seconds. */
const DAY = 86_400;

/** @typedef {import('./buckets.js').Bucket} Bucket */

/**
 * @param {HTMLElement} place
 * @param {{ buckets: Bucket[], bucketSeconds: number, until: number, onPick: (at: number) => void, signal: AbortSignal }} options
 *   `until`: the end of the last bucket, in milliseconds since 1970
 * @returns what marks the highlights
 */
export async function chart(place, { buckets, bucketSeconds, until, onPick, signal }) {
  const whole = withoutRest(buckets, bucketSeconds, until);
  const data = [
    whole.map(({ at }) => Date.parse(at) / 1_000),
    whole.map(({ messages }) => messages),
    whole.map(({ chatters }) => chatters),
  ];
  const most = Math.max(0, ...data[1]);
  const label = t('chart.label', { most: number(most), seconds: bucketSeconds });
  /** @type {{ from: number, to: number }[]} */
  let marked = [];
  const options = () => {
    const shared = frame();
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
      hooks: { drawClear: [(/** @type {any} */ plot) => mark(plot, marked, warn)] },
    };
  };
  const drawn = await plot(place, { data, options, label, onClick: (seconds) => onPick(seconds * 1_000), signal });
  return (/** @type {{ at: string, until: string }[]} */ highlights) => {
    const seconds = (/** @type {string} */ at) => Date.parse(at) / 1_000;
    marked = highlights.map(({ at, until }) => ({ from: seconds(at), to: seconds(until) }));
    drawn?.redraw(`${label} ${t('chart.peaks', { peaks: highlights.length })}`);
  };
}

/**
 * The marks of the time axis, as exactly as they are apart.
 * @param {any} _plot @param {number[]} marks @param {number} _axis @param {number} _space @param {number} apart in seconds
 */
function moments(_plot, marks, _axis, _space, apart) {
  const shown = apart >= DAY ? date : apart >= 60 ? hourMinute : time;
  return marks.map((mark) => shown(mark * 1_000));
}
