// @ts-check
/** What the charts share: the library, colours of the theme, axes, and their life in the page. */

import { h } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';

/** Pixels. */
const HEIGHT = 240;

/** Between two marks of the axis of counts: there is no half message. */
const COUNTS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].flatMap((power) => [power, 2 * power, 5 * power]);

/** Seconds between two marks of the time axis. */
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/** Pixels of the canvas above a marked span. */
const TICK = 4;

/**
 * Draws in that place, and again when the theme changes. It follows the width of the place until the signal.
 * @param {HTMLElement} place
 * @param {{ data: (number | null)[][], options: () => any, label: string, onClick?: (x: number) => void,
 *   signal: AbortSignal }} chart `label` says in words what the chart shows. `onClick` has the value of the axis
 * @returns null after the signal
 */
export async function plot(place, { data, options, label, onClick, signal }) {
  // @ts-expect-error It is made of the vendored script.
  const [{ default: Plot }] = await Promise.all([import('./vendor/uplot.js'), styled()]);
  if (signal.aborted) return null;
  /** @type {any} */
  let drawn = null;
  const draw = () => {
    drawn?.destroy();
    place.replaceChildren();
    drawn = new Plot({ ...options(), width: widthIn(place), height: HEIGHT }, data, place);
    const click = () => drawn.cursor.left >= 0 && onClick?.(drawn.posToVal(drawn.cursor.left, 'x'));
    drawn.over.addEventListener('click', click);
  };
  draw();
  place.classList.toggle('is-clickable', onClick !== undefined);
  place.setAttribute('role', 'img');
  place.setAttribute('aria-label', label);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw, { signal });
  const sizes = new ResizeObserver(() => drawn.setSize({ width: widthIn(place), height: HEIGHT }));
  sizes.observe(place);
  signal.addEventListener('abort', () => (sizes.disconnect(), drawn.destroy()));
  /** Draws again what the options have beside the data, such as marks. */
  const redraw = (/** @type {string} */ label) => {
    if (signal.aborted) return;
    place.setAttribute('aria-label', label);
    drawn.redraw(false);
  };
  return { redraw };
}

/** A colour of the theme. @param {string} name */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** What all charts have in common. */
export function frame() {
  const axis = {
    stroke: colour('--quiet'),
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line') },
  };
  const counts = (/** @type {any} */ _, /** @type {number[]} */ marks) => marks.map((mark) => number(mark));
  const range = (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [
    0,
    Math.max(1, most * 1.1),
  ];
  return {
    // The last mark of the time axis is wider than what is left of the chart.
    padding: [16, 28, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range } },
    axes: [
      { ...axis, space: 84, incrs: STEPS },
      { ...axis, size: 56, incrs: COUNTS, values: counts },
    ],
  };
}

/** A line of the chart. @param {string} label @param {string} stroke a colour @param {number[]} [dash] */
export function line(label, stroke, dash) {
  const value = (/** @type {any} */ _, /** @type {number | null} */ count) => (count === null ? '–' : number(count));
  return { label, stroke, width: 1.5, dash, value };
}

/**
 * Marks spans behind the lines, with a tick above each. `row`: ticks of several lines stand one below the other.
 * @param {any} plot @param {{ from: number, to: number }[]} spans values of the axis @param {string} colour
 */
export function mark(plot, spans, colour, row = 0) {
  const { ctx, bbox } = plot;
  const end = bbox.left + bbox.width;
  ctx.save();
  ctx.fillStyle = colour;
  for (const { from, to } of spans) {
    const left = plot.valToPos(from, 'x', true);
    const width = Math.max(3, Math.min(end, plot.valToPos(to, 'x', true)) - left);
    ctx.globalAlpha = 0.15;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top + row * TICK * 1.5, width, TICK);
  }
  ctx.restore();
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
