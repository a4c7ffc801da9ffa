// @ts-check
/** A broadcast's chat beside its recording: `#/rooms/{presenterIdx}/broadcasts/{id}/replay?t=…`. */

import { bases, get } from './api.js';
import { part } from './broadcast-lists.js';
import { Clock } from './clock.js';
import { clockControls } from './clock-controls.js';
import { button, field, fill, h } from './dom.js';
import { minute, offset } from './format.js';
import { t } from './i18n.js';
import { MessageList } from './message-list.js';
import { messageRow } from './message-row.js';
import { replayChat } from './replay.js';
import { session } from './session.js';

/** The colour of the status. @type {Record<string, string>} */
const STATES = { playing: 'live', ended: 'live', failed: 'stopped' };

/** Messages that stay in the list. */
const MAX_MESSAGES = 5_000;

/** @typedef {{ room: string, broadcast: string, query: Record<string, string>, signal: AbortSignal }} View */

/** @param {HTMLElement} root @param {View} view */
export async function mount(root, view) {
  const shown = new ReplayView(root, view);
  // The archive counts the messages first. The chat does not wait for that.
  const path = `/v1/rooms/${view.room}/broadcasts/${view.broadcast}`;
  await part(shown.about, async () => shown.describe(await get('archive', path, { signal: view.signal })));
}

class ReplayView {
  #view;
  /** Seconds. Infinity: the broadcast runs. NaN: not known yet. */
  #duration = NaN;
  /** When the broadcast was. */
  about = h('span', {}, '…');
  #stage = h('div', { class: 'stage' });
  #state = h('span', { class: 'status', role: 'status' });
  #offset = h('input', { type: 'number', step: 0.1, value: '0' });
  #list;
  /** The player on display, unless it is a video. @type {Clock | null} */
  #clock = null;
  /** Ends the player on display. */
  #player = new AbortController();
  /** @type {ReturnType<typeof replayChat> | null} */
  #replay = null;

  /** @param {HTMLElement} root @param {View} view */
  constructor(root, view) {
    this.#view = view;
    this.#list = new MessageList({
      label: t('replay.chat'),
      render: (message) => messageRow(message, { when: offset(message.offsetMs) }),
      follows: true,
      max: MAX_MESSAGES,
    });
    this.#offset.addEventListener('change', () => this.#replay && (this.#replay.offsetMs = this.#offsetMs()));
    fill(
      root,
      h(
        'section',
        { class: 'replay' },
        h(
          'div',
          { class: 'player' },
          h('h1', {}, t('replay.title'), ' ', this.about),
          this.#stage,
          this.#sources(),
        ),
        h('div', { class: 'stream' }, h('div', { class: 'bar' }, this.#state), this.#list.element),
      ),
    );
    view.signal.addEventListener('abort', () => {
      this.#player.abort();
      this.#list.close();
    });
    this.#playClock(Number(view.query.t ?? 0) / 1_000);
  }

  /** @param {any} broadcast */
  describe({ startedAt, durationMs }) {
    const href = `#/rooms/${this.#view.room}/broadcasts/${this.#view.broadcast}`;
    fill(this.about, h('a', { href }, minute(startedAt)));
    this.#duration = durationMs === null ? Infinity : durationMs / 1_000;
    if (this.#clock) this.#clock.duration = this.#duration;
  }

  #sources() {
    const url = h('input', { type: 'url', placeholder: 'https://', name: 'url' });
    const file = h('input', { type: 'file', accept: 'video/*,audio/*' });
    file.addEventListener('change', () => file.files?.[0] && this.#playVideo(URL.createObjectURL(file.files[0])));
    const load = (/** @type {Event} */ event) => {
      event.preventDefault();
      if (url.value) this.#playVideo(url.value);
    };
    const nudge = (/** @type {number} */ seconds, /** @type {string} */ label) => {
      return button(label, () => {
        this.#offset.value = String(Math.round((Number(this.#offset.value) + seconds) * 10) / 10);
        this.#offset.dispatchEvent(new Event('change'));
      });
    };
    return h(
      'div',
      { class: 'sources' },
      h(
        'form',
        { class: 'line', on: { submit: load } },
        field(t('replay.url'), url),
        h('button', {}, t('replay.load')),
      ),
      field(t('replay.file'), file),
      h('div', { class: 'line' }, field(t('replay.offset'), this.#offset), nudge(-1, '−1 s'), nudge(1, '+1 s')),
      h('p', { class: 'quiet' }, t('replay.explained')),
      h(
        'p',
        {},
        button(t('replay.noVideo'), () => this.#playClock(0)),
      ),
    );
  }

  /** @param {number} seconds */
  #playClock(seconds) {
    const clock = new Clock();
    clock.duration = this.#duration;
    clock.currentTime = seconds;
    this.#show(clock, (signal) => clockControls(clock, signal));
    this.#clock = clock;
  }

  /** @param {string} source */
  #playVideo(source) {
    const seconds = this.#replay ? this.#replay.timeMs / 1_000 : 0;
    const video = h('video', { controls: true, src: source, playsinline: true });
    const failed = h('p', { class: 'outcome', role: 'alert', data: { state: 'failed' } });
    video.addEventListener('error', () => (failed.textContent = t('replay.videoFailed')));
    // The same place in the recording, in the video's own time.
    const place = Math.max(0, seconds - this.#offsetMs() / 1_000);
    video.addEventListener('loadedmetadata', () => (video.currentTime = Math.min(place, video.duration || place)), {
      once: true,
    });
    this.#show(video, (signal) => {
      signal.addEventListener(
        'abort',
        () => (video.pause(), source.startsWith('blob:') && URL.revokeObjectURL(source)),
      );
      return h('div', {}, video, failed);
    });
  }

  #offsetMs() {
    return Math.round(Number(this.#offset.value) * 1_000) || 0;
  }

  /** @param {any} player @param {(signal: AbortSignal) => HTMLElement} controls */
  #show(player, controls) {
    this.#player.abort();
    this.#clock = null;
    const { signal } = (this.#player = new AbortController());
    fill(this.#stage, controls(signal));
    const replay = (this.#replay = replayChat({
      url: bases.archive,
      room: this.#view.room,
      broadcast: this.#view.broadcast,
      player,
      offsetMs: this.#offsetMs(),
      getToken: async ({ expired }) => {
        if (expired || !session.isSignedIn) await session.renewed();
        return session.token ?? '';
      },
      onReset: (messages) => {
        this.#list.reset(messages);
        this.#list.whenEmpty(t('replay.empty'));
      },
      onMessages: (messages) => this.#list.append(messages),
      onState: (state, reason) => {
        this.#state.dataset.state = STATES[state] ?? state;
        this.#state.textContent = t(`replay.${state}`, { reason });
      },
    }));
    signal.addEventListener('abort', () => replay.close());
  }
}
