// @ts-check
/** The controls of a clock: play and pause, the place, and the speed. */

import { button, h, select } from './dom.js';
import { offset } from './format.js';
import { t } from './i18n.js';

const SPEEDS = [0.5, 1, 1.5, 2, 4, 8, 16];

/** @param {import('./clock.js').Clock} clock @param {AbortSignal} signal */
export function clockControls(clock, signal) {
  const toggle = button('', () => (clock.paused ? clock.play() : clock.pause()), { class: 'primary' });
  const shown = h('output', { class: 'clock-time' });
  const place = h('input', { type: 'range', min: 0, step: 1, 'aria-label': t('replay.place') });
  place.addEventListener('input', () => (clock.currentTime = Number(place.value)));
  const speeds = Object.fromEntries(SPEEDS.map((speed) => [String(speed), `${speed}×`]));
  const speed = select(speeds, '1', { 'aria-label': t('replay.speed') });
  speed.addEventListener('change', () => (clock.playbackRate = Number(speed.value)));
  const show = () => {
    const length = Number.isFinite(clock.duration) ? clock.duration : Math.max(3_600, clock.currentTime * 1.1);
    // Until the end is known, no place on the bar means anything.
    place.disabled = Number.isNaN(clock.duration);
    place.max = String(Math.max(1, Math.floor(length)));
    place.value = String(clock.currentTime);
    place.setAttribute('aria-valuetext', offset(clock.currentTime * 1_000));
    const end = Number.isFinite(clock.duration) ? offset(clock.duration * 1_000) : '…';
    shown.textContent = `${offset(clock.currentTime * 1_000)} / ${end}`;
    toggle.textContent = clock.paused ? t('replay.play') : t('replay.pause');
  };
  for (const event of ['timeupdate', 'durationchange', 'play', 'pause']) clock.addEventListener(event, show, { signal });
  signal.addEventListener('abort', () => clock.pause());
  show();
  return h('div', { class: 'clock' }, shown, place, h('div', { class: 'buttons' }, toggle, speed));
}
