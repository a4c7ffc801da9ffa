// @ts-check
/** A player without a picture: a clock with the members of a `<video>` that a replay needs. */

/** How often it says that time has passed. */
const UPDATE_MS = 250;

/** Events: `seeking`, `timeupdate`, `play`, `pause`, `ratechange`, `durationchange`, `ended`. */
export class Clock extends EventTarget {
  #seconds = 0;
  /** When it was started or changed. */
  #since = 0;
  #rate = 1;
  #timer = 0;
  #duration = NaN;

  /** Seconds. Infinity: it runs on. NaN: not known yet. */
  get duration() {
    return this.#duration;
  }

  set duration(seconds) {
    this.#duration = seconds;
    this.dispatchEvent(new Event('durationchange'));
  }

  get #end() {
    return Number.isNaN(this.#duration) ? Infinity : this.#duration;
  }

  get paused() {
    return this.#timer === 0;
  }

  get currentTime() {
    const passed = this.paused ? 0 : ((performance.now() - this.#since) / 1_000) * this.#rate;
    return Math.min(this.#end, this.#seconds + passed);
  }

  set currentTime(seconds) {
    this.#set(Math.max(0, Math.min(this.#end, seconds)));
    this.dispatchEvent(new Event('seeking'));
    this.dispatchEvent(new Event('timeupdate'));
  }

  get playbackRate() {
    return this.#rate;
  }

  set playbackRate(rate) {
    this.#set(this.currentTime);
    this.#rate = rate;
    this.dispatchEvent(new Event('ratechange'));
  }

  play() {
    if (!this.paused) return;
    this.#set(this.#seconds);
    this.#timer = setInterval(() => this.#update(), UPDATE_MS);
    this.dispatchEvent(new Event('play'));
  }

  pause() {
    if (this.paused) return;
    this.#set(this.currentTime);
    clearInterval(this.#timer);
    this.#timer = 0;
    this.dispatchEvent(new Event('pause'));
  }

  #update() {
    this.dispatchEvent(new Event('timeupdate'));
    if (this.currentTime < this.#end) return;
    this.pause();
    this.dispatchEvent(new Event('ended'));
  }

  /** @param {number} seconds */
  #set(seconds) {
    this.#seconds = seconds;
    this.#since = performance.now();
  }
}
