// @ts-check
/** A broadcast, and what the archive computes about its time. */

import { get } from './api.js';
import { inTurn } from './in-turn.js';
import { replayAddress } from './recording-time.js';

/** The archive computes statistics of at most 31 days. */
const LONGEST_MS = 31 * 86_400_000;

/** Highlights count buckets of ten seconds, or of a minute where there would be too many. */
const HIGHLIGHT_SECONDS = [10, 60];
const MAX_BUCKETS = 10_000;

/**
 * @typedef {{ at: string, until: string, peakAt: string, messages: number, chatters: number, samples: any[] }} Highlight
 */

export class BroadcastFigures {
  #room;
  #signal;
  /** As the archive describes it. */
  broadcast;
  /** Milliseconds since 1970. */
  startedAt;
  /** What the figures are about. */
  span;
  lengthMs;

  /** @param {string} room @param {any} broadcast @param {AbortSignal} signal */
  constructor(room, broadcast, signal) {
    this.#room = room;
    this.#signal = signal;
    this.broadcast = broadcast;
    this.startedAt = Date.parse(broadcast.startedAt);
    const end = broadcast.endedAt ? Date.parse(broadcast.endedAt) + 1 : Date.now();
    this.lengthMs = Math.max(1_000, Math.min(end - this.startedAt, LONGEST_MS));
    const to = new Date(this.startedAt + this.lengthMs);
    this.span = { from: new Date(this.startedAt).toISOString(), to: to.toISOString() };
  }

  /** @param {string} room @param {string} id @param {AbortSignal} signal */
  static async load(room, id, signal) {
    const path = `/v1/rooms/${room}/broadcasts/${id}`;
    const broadcast = await inTurn(() => get('archive', path, { signal }));
    return new BroadcastFigures(room, broadcast, signal);
  }

  get address() {
    return `#/rooms/${this.#room}/broadcasts/${this.broadcast.id}`;
  }

  get replay() {
    return `${this.address}/replay`;
  }

  /** The address of the replay at that moment. @param {number} at milliseconds since 1970 */
  replayAt(at) {
    return replayAddress(this.#room, this.broadcast, at);
  }

  /** Messages and people over time. @param {number} seconds of a bucket @returns {Promise<import('./buckets.js').Bucket[]>} */
  async buckets(seconds) {
    return (await this.#statistics('', { bucketSeconds: seconds })).buckets;
  }

  /** The moments that stand out, the clearest first. @returns {Promise<Highlight[]>} */
  async highlights() {
    const fits = (/** @type {number} */ seconds) => this.lengthMs / 1_000 / seconds <= MAX_BUCKETS;
    const seconds = HIGHLIGHT_SECONDS.find(fits) ?? 60;
    return (await this.#statistics('/highlights', { bucketSeconds: seconds })).highlights;
  }

  /** Who wrote most. @returns {Promise<any[]>} */
  async chatters() {
    return (await this.#statistics('/chatters')).chatters;
  }

  /** The words in most messages. @returns {Promise<any[]>} */
  async words() {
    return (await this.#statistics('/words', { first: 30 })).words;
  }

  /** @param {string} part @param {Record<string, any>} [query] */
  #statistics(part, query = {}) {
    const path = `/v1/rooms/${this.#room}/statistics${part}`;
    const options = { query: { ...this.span, ...query }, signal: this.#signal };
    return inTurn(() => get('archive', path, options));
  }
}
