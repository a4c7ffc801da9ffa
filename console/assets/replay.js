// @ts-check
/**
 * The chat of a broadcast beside its recording, at the player's time: through seeks, pauses and changes of speed. It
 * knows a player by what every `<video>` has, and nothing of the page around it; it imports nothing.
 *
 *     const replay = replayChat({
 *       url: 'https://archive.example.com', room: 42, broadcast: '019ab5a0-…',
 *       player: document.querySelector('video'),
 *       getToken: async ({ expired }) => (await fetch(expired ? '/token?fresh' : '/token')).text(),
 *       onReset: (messages) => showOnly(messages),
 *       onMessages: (messages) => show(messages),
 *     });
 *     replay.offsetMs = 1_500; // the recording began 1.5 s before the video
 *     replay.close();
 */

/** @typedef {import('./replay.d.ts').ReplayMessage} ReplayMessage */
/** @typedef {import('./replay.d.ts').ReplayOptions} ReplayOptions */
/** @typedef {import('./replay.d.ts').ReplayState} ReplayState */

/** How often the player's time is looked at. */
const TICK_MS = 100;

/** After a seek, what was said so long before it is shown as well. */
const HISTORY_MS = 30_000;

/** Messages are loaded so long before they are due, at normal speed. A deletion takes effect until then. */
const AHEAD_MS = 10_000;

/** A time that runs on by so much more than it should was a seek. */
const JUMP_MS = 2_000;

const PAGE = 500;

/** The end of a running broadcast is asked for again. */
const LIVE_MS = 5_000;

const BACKOFF_MOST_MS = 20_000;

/** Members that hold ids. `JSON.parse` would turn one above 2^53 - 1 into another. */
const WIDE_ID = /"(idx|presenterIdx)":\s*(\d{16,})/g;

/** Answers that another attempt would not change. */
const FINAL = [400, 401, 403, 404];

/**
 * @param {ReplayOptions} options
 * @returns {import('./replay.d.ts').Replay}
 */
export function replayChat(options) {
  return new Replay(options);
}

class Replay {
  #options;
  #offsetMs;
  /** Loaded, and not due yet. @type {ReplayMessage[]} */
  #queue = [];
  /** The cursor of the next page. Undefined: there is none. @type {string | undefined} */
  #next;
  /** Everything up to here was shown. */
  #shownMs = 0;
  #lookedAt = 0;
  /** Ends what was begun for an earlier place. */
  #seek = new AbortController();
  #isLoading = false;
  /** The player goes on with what is there. */
  #isLoadingAhead = false;
  /** @type {ReplayState | null} */
  #state = null;
  #timer;
  #onSeek = () => this.#restart();

  /** @param {ReplayOptions} options */
  constructor(options) {
    this.#options = options;
    this.#offsetMs = options.offsetMs ?? 0;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    options.player.addEventListener('seeking', this.#onSeek);
    this.#restart();
  }

  get offsetMs() {
    return this.#offsetMs;
  }

  set offsetMs(offsetMs) {
    this.#offsetMs = offsetMs;
    this.#restart();
  }

  /** The time in the recording, in milliseconds. */
  get timeMs() {
    return this.#options.player.currentTime * 1_000 + this.#offsetMs;
  }

  /** Stops following the player. Nothing is handed out any more. */
  close() {
    clearInterval(this.#timer);
    this.#seek.abort();
    this.#options.player.removeEventListener('seeking', this.#onSeek);
  }

  #tick() {
    if (this.#isLoading) return;
    const [now, time] = [performance.now(), this.timeMs];
    const expected = this.#shownMs + (now - this.#lookedAt) * this.#options.player.playbackRate;
    this.#lookedAt = now;
    if (time < this.#shownMs || time > expected + JUMP_MS) return this.#restart();
    this.#shownMs = time;
    const due = this.#take(time);
    if (due.length > 0) this.#options.onMessages(due);
    if (this.#isLoadingAhead && this.#queue.length === 0 && this.#state === 'playing') this.#tell('loading');
    this.#loadAhead();
  }

  /** Removes what is due from the queue. @param {number} time */
  #take(time) {
    const later = this.#queue.findIndex(({ offsetMs }) => offsetMs > time);
    return this.#queue.splice(0, later < 0 ? this.#queue.length : later);
  }

  /** Loads the chat at the player's place, and what was said just before it. */
  async #restart() {
    this.#seek.abort();
    const { signal } = (this.#seek = new AbortController());
    this.#isLoading = true;
    this.#isLoadingAhead = false;
    this.#queue = [];
    this.#next = undefined;
    this.#tell('loading');
    // A player that runs on may be faster than the pages come.
    const until = this.timeMs;
    const from = Math.max(0, Math.floor(until - HISTORY_MS));
    let page = await this.#page({ from }, signal);
    while (page && page.next && page.messages.length > 0 && page.messages.at(-1).offsetMs <= until) {
      this.#queue.push(...page.messages);
      page = await this.#page({ after: page.next }, signal);
    }
    if (!page || signal.aborted) return;
    this.#queue.push(...page.messages);
    this.#next = page.next;
    this.#isLoading = false;
    this.#shownMs = this.timeMs;
    this.#lookedAt = performance.now();
    this.#options.onReset(this.#take(this.#shownMs));
    this.#tell('playing');
  }

  async #loadAhead() {
    if (this.#isLoadingAhead) return;
    const ahead = AHEAD_MS * Math.max(1, this.#options.player.playbackRate);
    const last = this.#queue.at(-1);
    if (last && last.offsetMs > this.#shownMs + ahead) return;
    if (this.#next === undefined) {
      this.#tell(last ? 'playing' : 'ended');
      return;
    }
    const { signal } = this.#seek;
    this.#isLoadingAhead = true;
    const page = await this.#page({ after: this.#next }, signal);
    if (!page || signal.aborted) return;
    this.#queue.push(...page.messages);
    this.#next = page.next;
    this.#tell(page.messages.length === 0 && page.next ? 'waiting' : 'playing');
    if (page.messages.length === 0 && page.next) await pause(LIVE_MS, signal);
    if (!signal.aborted) this.#isLoadingAhead = false;
  }

  /**
   * A page of the replay, tried again until it comes. Null: it never will, or nobody waits for it.
   * @param {{ from?: number, after?: string }} place @param {AbortSignal} signal
   * @returns {Promise<{ messages: any[], next?: string } | null>}
   */
  async #page(place, signal) {
    const { url, room, broadcast, timeline = 'segments', getToken } = this.#options;
    const query = new URLSearchParams({ timeline, first: String(PAGE) });
    for (const [name, value] of Object.entries(place)) query.set(name, String(value));
    const address = `${url.replace(/\/$/, '')}/v1/rooms/${room}/broadcasts/${broadcast}/replay?${query}`;
    let expired = false;
    for (let failures = 0; !signal.aborted; failures++) {
      let [status, reason] = [0, ''];
      try {
        const headers = { Authorization: `Bearer ${await getToken({ expired })}` };
        const answer = await fetch(address, { headers, signal, cache: 'no-store' });
        const text = await answer.text();
        if (answer.ok) return JSON.parse(text.replace(WIDE_ID, '"$1":"$2"'));
        status = answer.status;
        reason = problem(text) ?? `the server answered ${status}`;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return null;
      const isRenewable = status === 401 && !expired;
      if (FINAL.includes(status) && !isRenewable) {
        this.#tell('failed', reason);
        return null;
      }
      expired = status === 401;
      if (isRenewable) continue;
      this.#tell('failed', reason);
      await pause(Math.min(BACKOFF_MOST_MS, 500 * 2 ** failures), signal);
    }
    return null;
  }

  /** @param {ReplayState} state @param {string} [reason] */
  #tell(state, reason) {
    if (this.#state === state && state !== 'failed') return;
    this.#state = state;
    this.#options.onState?.(state, reason);
  }
}

/** @param {string} text @returns {string | undefined} */
function problem(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined;
  }
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, undefined);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}
