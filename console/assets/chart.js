// @ts-check
/** Messages and chatters over time, with the highlights marked. A click picks a moment. */

import { h } from './dom.js';
import { date, hourMinute, number, time } from './format.js';
import { t } from './i18n.js';

const HEIGHT = 240;

/** Seconds. */
const DAY = 86_400;

/**
 * @param {HTMLElement} place
 * @param {{ buckets: { at: string, messages: number, chatters: number }[], bucketSeconds: number,
 *   highlights: { at: string, until: string }[], onPick: (at: number) => void, signal: AbortSignal }} options
 */
export async function chart(place, { buckets, bucketSeconds, highlights, onPick, signal }) {
  // @ts-expect-error It is made of the vendored script.
  const [{ default: Plot }] = await Promise.all([import('./vendor/uplot.js'), styled()]);
  if (signal.aborted) return;
  const data = [
    buckets.map(({ at }) => Date.parse(at) / 1_000),
    buckets.map(({ messages }) => messages),
    buckets.map(({ chatters }) => chatters),
  ];
  /** @type {any} */
  let plot = null;
  const draw = () => {
    plot?.destroy();
    place.replaceChildren();
    plot = new Plot(options(place, bucketSeconds, highlights), data, place);
    plot.over.addEventListener('click', () => {
      if (plot.cursor.left >= 0) onPick(plot.posToVal(plot.cursor.left, 'x') * 1_000);
    });
  };
  draw();
  const most = Math.max(0, ...data[1]);
  place.setAttribute('role', 'img');
  place.setAttribute(
    'aria-label',
    t('chart.label', { most: number(most), seconds: bucketSeconds, peaks: highlights.length }),
  );
  const colours = matchMedia('(prefers-color-scheme: dark)');
  colours.addEventListener('change', draw, { signal });
  const sizes = new ResizeObserver(() => plot.setSize({ width: widthIn(place), height: HEIGHT }));
  sizes.observe(place);
  signal.addEventListener('abort', () => (sizes.disconnect(), plot.destroy()));
}

/** Without the padding. @param {HTMLElement} place */
function widthIn(place) {
  const { paddingLeft, paddingRight } = getComputedStyle(place);
  return place.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
}

/** The library's own style, loaded with it. */
function styled() {
  if (document.getElementById('uplot-style')) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const on = { load: resolve, error: () => reject(new Error(t('chart.failed'))) };
    document.head.append(h('link', { id: 'uplot-style', rel: 'stylesheet', href: 'vendor/uplot.css', on }));
  });
}

/** @param {HTMLElement} place @param {number} bucketSeconds @param {{ at: string, until: string }[]} highlights */
function options(place, bucketSeconds, highlights) {
  const styles = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => styles.getPropertyValue(name).trim();
  const font = `12px ${getComputedStyle(place).fontFamily}`;
  const axis = {
    stroke: colour('--quiet'),
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line') },
  };
  const shown = (/** @type {any} */ _, /** @type {number | null} */ value) => (value === null ? '–' : number(value));
  return {
    width: widthIn(place),
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      y: {
        range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [
          0,
          Math.max(1, most * 1.1),
        ],
      },
    },
    axes: [
      { ...axis, space: 84, values: moments },
      {
        ...axis,
        size: 56,
        values: (/** @type {any} */ _, /** @type {number[]} */ marks) => marks.map((mark) => number(mark)),
      },
    ],
    series: [
      {
        label: t('chart.time'),
        value: (/** @type {any} */ _, /** @type {number | null} */ at) => (at === null ? '–' : time(at * 1_000)),
      },
      { label: t('chart.messages', { seconds: bucketSeconds }), stroke: colour('--accent'), width: 1.5, value: shown },
      {
        label: t('chart.chatters', { seconds: bucketSeconds }),
        stroke: colour('--good'),
        width: 1.5,
        dash: [5, 3],
        value: shown,
      },
    ],
    hooks: { drawClear: [(/** @type {any} */ plot) => mark(plot, highlights, colour('--warn'))] },
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

/**
 * Marks the highlights behind the lines, with a tick above each.
 * @param {any} plot @param {{ at: string, until: string }[]} highlights @param {string} colour
 */
function mark(plot, highlights, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour;
  for (const { at, until } of highlights) {
    const left = plot.valToPos(Date.parse(at) / 1_000, 'x', true);
    const width = Math.max(3, plot.valToPos(Date.parse(until) / 1_000, 'x', true) - left);
    ctx.globalAlpha = 0.25;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top, width, 4);
  }
  ctx.restore();
}
