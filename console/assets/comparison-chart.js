// @ts-check
/** The messages of two broadcasts, each over the time since its own start. Highlights are marked once they are known. */

import { busiest } from './buckets.js';
import { number, offset } from './format.js';
import { t } from './i18n.js';
import { colour, frame, line, mark, plot } from './plot.js';

/** The colour of each line. The second one is dashed: the colour is not all that tells them apart. */
const COLOURS = ['--accent', '--good'];
const DASHES = [undefined, [5, 3]];

/**
 * One of the two. The first bucket begins with the broadcast.
 * @typedef {{ label: string, startedAt: number, buckets: import('./buckets.js').Bucket[] }} Curve
 */

/**
 * @param {HTMLElement} place
 * @param {{ curves: Curve[], bucketSeconds: number, signal: AbortSignal }} options buckets of both are equally long
 * @returns what marks the highlights of both
 */
export async function comparisonChart(place, { curves, bucketSeconds, signal }) {
  const points = Math.max(...curves.map(({ buckets }) => buckets.length));
  const indices = Array.from({ length: points }, (_, index) => index);
  const counts = (/** @type {Curve} */ { buckets }) => indices.map((index) => buckets[index]?.messages ?? null);
  const data = [indices.map((index) => index * bucketSeconds), ...curves.map(counts)];
  const peaks = curves.map(({ label, buckets }) => {
    const { most, at } = busiest(buckets, bucketSeconds);
    return t('compare.chartPeak', { label, most: number(most), at: offset(at) });
  });
  const label = [t('compare.chart', { seconds: bucketSeconds }), ...peaks].join(' ');
  /** @type {{ at: string, until: string }[][]} */
  let marked = [];
  const options = () => {
    const shared = frame();
    const colours = COLOURS.map(colour);
    const marks = (/** @type {any} */ drawn) =>
      curves.forEach((curve, at) => mark(drawn, spans(curve, marked[at] ?? []), colours[at], at));
    return {
      ...shared,
      scales: { ...shared.scales, x: { time: false } },
      axes: [{ ...shared.axes[0], values: offsets }, shared.axes[1]],
      series: [
        {
          label: t('compare.since'),
          value: (/** @type {any} */ _, /** @type {number | null} */ seconds) =>
            seconds === null ? '–' : offset(seconds * 1_000),
        },
        ...curves.map(({ label }, at) => line(label, colours[at], DASHES[at])),
      ],
      hooks: { drawClear: [marks] },
    };
  };
  const drawn = await plot(place, { data, options, label, signal });
  return (/** @type {{ at: string, until: string }[][]} */ highlights) => {
    marked = highlights;
    drawn?.redraw(label);
  };
}

/** @param {Curve} curve @param {{ at: string, until: string }[]} highlights */
function spans({ startedAt }, highlights) {
  const since = (/** @type {string} */ at) => (Date.parse(at) - startedAt) / 1_000;
  return highlights.map(({ at, until }) => ({ from: since(at), to: since(until) }));
}

/** @param {any} _plot @param {number[]} marks seconds */
function offsets(_plot, marks) {
  return marks.map((mark) => offset(mark * 1_000));
}
