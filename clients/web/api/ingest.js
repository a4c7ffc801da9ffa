// @ts-check
/** Ingest: post messages, moderate rooms, and find out what became of a request. */

import { Refused } from './errors.js';
import { Role } from './role.js';

/** @typedef {import('./index.d.ts').DecisionOptions} DecisionOptions */
/** @typedef {import('./index.d.ts').ListOptions} ListOptions */

const MESSAGES = '/v1/rooms/{presenterIdx}/messages';
const MESSAGE = '/v1/rooms/{presenterIdx}/messages/{messageId}';
const DELETION = '/v1/rooms/{presenterIdx}/messages/{messageId}/deletion';
const NOTICES = '/v1/rooms/{presenterIdx}/notices';
const PIN = '/v1/rooms/{presenterIdx}/pin';
const REPORTS = '/v1/rooms/{presenterIdx}/messages/{messageId}/reports';
const CLOSE_REPORTS = '/v1/rooms/{presenterIdx}/reports/{messageId}/close';
const REQUESTS = '/v1/rooms/{presenterIdx}/requests';
const REQUESTS_EVERYWHERE = '/v1/requests';
const HOLDS = '/v1/rooms/{presenterIdx}/holds';
const RELEASE = '/v1/rooms/{presenterIdx}/holds/{messageId}/release';
const DENIAL = '/v1/rooms/{presenterIdx}/holds/{messageId}/deny';
const SWEEPS = '/v1/rooms/{presenterIdx}/sweeps';
const SWEEP = '/v1/rooms/{presenterIdx}/sweeps/{sweepId}';
const BANS = '/v1/rooms/{presenterIdx}/bans';
const BAN = '/v1/rooms/{presenterIdx}/bans/{userIdx}';
const BANS_EVERYWHERE = '/v1/bans';
const BAN_EVERYWHERE = '/v1/bans/{userIdx}';
const MODERATORS = '/v1/rooms/{presenterIdx}/moderators';
const MODERATOR = '/v1/rooms/{presenterIdx}/moderators/{userIdx}';
const WARNINGS = '/v1/rooms/{presenterIdx}/warnings';
const WARNING = '/v1/rooms/{presenterIdx}/warnings/{userIdx}';
const NOTES = '/v1/rooms/{presenterIdx}/users/{userIdx}/notes';
const NOTE = '/v1/rooms/{presenterIdx}/users/{userIdx}/notes/{noteId}';
const SETTINGS = '/v1/rooms/{presenterIdx}/settings';

export class Ingest {
  #role;

  /** @param {import('./index.d.ts').RoleOptions} options */
  constructor(options) {
    this.#role = new Role(options);
  }

  /** @param {import('./index.d.ts').Token} token */
  withToken(token) {
    return new Ingest({ ...this.#role.options, token });
  }

  /** @param {number} room @param {string} text @param {import('./index.d.ts').MessageOptions} [options] */
  post(room, text, options) {
    return this.#submit('POST', MESSAGES, { presenterIdx: room }, options, { text, replyTo: options?.replyTo, attributes: options?.attributes, emotes: options?.emotes });
  }

  /** @param {number} room @param {string} idempotencyKey @param {import('./index.d.ts').CallOptions} [options] */
  lookUp(room, idempotencyKey, options) {
    return this.#lookUp(REQUESTS, { presenterIdx: room }, idempotencyKey, options?.signal);
  }

  /** @param {string} idempotencyKey @param {import('./index.d.ts').CallOptions} [options] */
  lookUpEverywhere(idempotencyKey, options) {
    return this.#lookUp(REQUESTS_EVERYWHERE, {}, idempotencyKey, options?.signal);
  }

  /** @param {number} room @param {string} messageId @param {DecisionOptions} [options] */
  deleteMessage(room, messageId, options) {
    return this.#submit('DELETE', MESSAGE, { presenterIdx: room, messageId }, options);
  }

  /** @param {number} room @param {string} text @param {import('./index.d.ts').PostOptions} [options] */
  postNotice(room, text, options) {
    return this.#submit('POST', NOTICES, { presenterIdx: room }, options, { text });
  }

  /** @param {number} room @param {string} messageId @param {import('./index.d.ts').PostOptions} [options] */
  pin(room, messageId, options) {
    return this.#submit('PUT', PIN, { presenterIdx: room }, options, { messageId });
  }

  /** @param {number} room @param {import('./index.d.ts').PostOptions} [options] */
  unpin(room, options) {
    return this.#submit('DELETE', PIN, { presenterIdx: room }, options);
  }

  /** @param {number} room @param {import('./index.d.ts').CallOptions} [options] */
  getPin(room, options) {
    return this.#role.getOrNull(PIN, { presenterIdx: room }, 'not_pinned', options);
  }

  /** @param {number} room @param {string} messageId @param {DecisionOptions} [options] */
  restoreMessage(room, messageId, options) {
    return this.#submit('DELETE', DELETION, { presenterIdx: room, messageId }, options);
  }

  /** @param {number} room @param {ListOptions} [options] */
  holds(room, { pageSize = 1_000, signal } = {}) {
    return this.#role.pages(HOLDS, { presenterIdx: room }, 'holds', { first: pageSize }, signal);
  }

  /** @param {number} room @param {string} messageId @param {DecisionOptions} [options] */
  release(room, messageId, options) {
    return this.#submit('POST', RELEASE, { presenterIdx: room, messageId }, options);
  }

  /** @param {number} room @param {string} messageId @param {DecisionOptions} [options] */
  deny(room, messageId, options) {
    return this.#submit('POST', DENIAL, { presenterIdx: room, messageId }, options);
  }

  /**
   * @param {number} room @param {string} messageId @param {import('./index.d.ts').ReportCategory} category
   * @param {{ reason?: string } & import('./index.d.ts').CallOptions} [options]
   */
  report(room, messageId, category, { reason, signal } = {}) {
    const path = { presenterIdx: room, messageId };
    return this.#role.request('POST', REPORTS, path, { body: { category, reason }, signal });
  }

  /** @param {number} room @param {string} messageId @param {DecisionOptions} [options] */
  closeReports(room, messageId, { reason, ...options } = {}) {
    return this.#submit('POST', CLOSE_REPORTS, { presenterIdx: room, messageId }, options, { reason });
  }

  /** @param {number} room @param {DecisionOptions} [options] */
  clear(room, options) {
    return this.#submit('DELETE', MESSAGES, { presenterIdx: room }, options);
  }

  /** @param {number} room @param {import('./index.d.ts').SweepRule} rule @param {import('./index.d.ts').SweepOptions} options */
  sweep(room, rule, { secondsBack, secondsForward, forward, reason, ...options }) {
    const body = { rule, secondsBack, secondsForward, forward, reason };
    return this.#submit('POST', SWEEPS, { presenterIdx: room }, options, body);
  }

  /** @param {number} room @param {import('./index.d.ts').SweepRule} rule @param {{ secondsBack: number } & import('./index.d.ts').CallOptions} options */
  previewSweep(room, rule, { secondsBack, signal }) {
    const body = { rule, secondsBack, dryRun: true };
    return this.#role.request('POST', SWEEPS, { presenterIdx: room }, { body, signal });
  }

  /** @param {number} room @param {string} sweepId @param {DecisionOptions} [options] */
  undoSweep(room, sweepId, options) {
    return this.#submit('DELETE', SWEEP, { presenterIdx: room, sweepId }, options);
  }

  /** @param {number} room @param {import('./index.d.ts').CallOptions} [options] */
  async sweeps(room, options) {
    return (await this.#role.request('GET', SWEEPS, { presenterIdx: room }, options)).sweeps;
  }

  /** @param {number} room @param {number} user @param {import('./index.d.ts').RoomBanOptions} [options] */
  ban(room, user, { seconds, purgeSeconds, reason, ...options } = {}) {
    return this.#submit('PUT', BAN, { presenterIdx: room, userIdx: user }, options, { seconds, purgeSeconds, reason });
  }

  /** @param {number} room @param {number} user @param {DecisionOptions} [options] */
  unban(room, user, options) {
    return this.#submit('DELETE', BAN, { presenterIdx: room, userIdx: user }, options);
  }

  /** @param {number} room @param {ListOptions} [options] */
  bans(room, { pageSize = 1_000, signal } = {}) {
    return this.#role.pages(BANS, { presenterIdx: room }, 'bans', { first: pageSize }, signal);
  }

  /** @param {number} room @param {number} user @param {import('./index.d.ts').CallOptions} [options] */
  getBan(room, user, options) {
    return this.#role.getOrNull(BAN, { presenterIdx: room, userIdx: user }, 'not_banned', options);
  }

  /** @param {number} user @param {import('./index.d.ts').BanOptions} [options] */
  banEverywhere(user, { seconds, reason, ...options } = {}) {
    return this.#submit('PUT', BAN_EVERYWHERE, { userIdx: user }, options, { seconds, reason });
  }

  /** @param {number} user @param {DecisionOptions} [options] */
  unbanEverywhere(user, options) {
    return this.#submit('DELETE', BAN_EVERYWHERE, { userIdx: user }, options);
  }

  /** @param {ListOptions} [options] */
  bansEverywhere({ pageSize = 1_000, signal } = {}) {
    return this.#role.pages(BANS_EVERYWHERE, {}, 'bans', { first: pageSize }, signal);
  }

  /** @param {number} user @param {import('./index.d.ts').CallOptions} [options] */
  getBanEverywhere(user, options) {
    return this.#role.getOrNull(BAN_EVERYWHERE, { userIdx: user }, 'not_banned', options);
  }

  /** @param {number} room @param {number} user @param {DecisionOptions} [options] */
  addModerator(room, user, { reason, ...options } = {}) {
    return this.#submit('PUT', MODERATOR, { presenterIdx: room, userIdx: user }, options, { reason });
  }

  /** @param {number} room @param {number} user @param {DecisionOptions} [options] */
  removeModerator(room, user, options) {
    return this.#submit('DELETE', MODERATOR, { presenterIdx: room, userIdx: user }, options);
  }

  /** @param {number} room @param {ListOptions} [options] */
  moderators(room, { pageSize = 1_000, signal } = {}) {
    return this.#role.pages(MODERATORS, { presenterIdx: room }, 'moderators', { first: pageSize }, signal);
  }

  /** @param {number} room @param {number} user @param {import('./index.d.ts').CallOptions} [options] */
  getModerator(room, user, options) {
    return this.#role.getOrNull(MODERATOR, { presenterIdx: room, userIdx: user }, 'not_moderator', options);
  }

  /** @param {number} room @param {number} user @param {string} reason @param {import('./index.d.ts').PostOptions} [options] */
  warn(room, user, reason, options) {
    return this.#submit('PUT', WARNING, { presenterIdx: room, userIdx: user }, options, { reason });
  }

  /** @param {number} room @param {number} user @param {DecisionOptions} [options] */
  withdrawWarning(room, user, options) {
    return this.#submit('DELETE', WARNING, { presenterIdx: room, userIdx: user }, options);
  }

  /** @param {number} room @param {ListOptions} [options] */
  warnings(room, { pageSize = 1_000, signal } = {}) {
    return this.#role.pages(WARNINGS, { presenterIdx: room }, 'warnings', { first: pageSize }, signal);
  }

  /** @param {number} room @param {number} user @param {import('./index.d.ts').CallOptions} [options] */
  getWarning(room, user, options) {
    return this.#role.getOrNull(WARNING, { presenterIdx: room, userIdx: user }, 'not_warned', options);
  }

  /** @param {number} room @param {number} user @param {string} text @param {import('./index.d.ts').PostOptions} [options] */
  addNote(room, user, text, options) {
    return this.#submit('POST', NOTES, { presenterIdx: room, userIdx: user }, options, { text });
  }

  /** @param {number} room @param {number} user @param {string} noteId @param {DecisionOptions} [options] */
  deleteNote(room, user, noteId, options) {
    return this.#submit('DELETE', NOTE, { presenterIdx: room, userIdx: user, noteId }, options);
  }

  /** @param {number} room @param {number} user @param {import('./index.d.ts').CallOptions} [options] */
  async notes(room, user, options) {
    return (await this.#role.request('GET', NOTES, { presenterIdx: room, userIdx: user }, options)).notes;
  }

  /** @param {number} room @param {import('./index.d.ts').CallOptions} [options] */
  getSettings(room, options) {
    return this.#role.request('GET', SETTINGS, { presenterIdx: room }, options);
  }

  /** @param {number} room @param {import('./index.d.ts').SettingsChange} settings @param {import('./index.d.ts').BanOptions} [options] */
  changeSettings(room, settings, { seconds, reason, ...options } = {}) {
    return this.#submit('PATCH', SETTINGS, { presenterIdx: room }, options, { settings, seconds, reason });
  }

  /**
   * @param {string} method @param {string} template @param {Record<string, string | number>} path
   * @param {DecisionOptions} [options] @param {object} [body]
   */
  async #submit(method, template, path, { idempotencyKey: key = crypto.randomUUID(), reason, signal } = {}, body) {
    try {
      return await this.#role.request(method, template, path, { query: { reason }, body, key, signal });
    } catch (error) {
      if (!(error instanceof Refused && error.outcome === 'unknown')) throw error;
      // An earlier attempt had no answer, and may have been accepted before this one was refused.
      const { presenterIdx } = path;
      const [place, of] = presenterIdx === undefined ? [REQUESTS_EVERYWHERE, {}] : [REQUESTS, { presenterIdx }];
      const found = await this.#lookUp(place, of, key, signal).catch((cause) => {
        signal?.throwIfAborted();
        // It still says that the outcome is unknown.
        throw Object.assign(error, { cause });
      });
      if (found) return found;
      error.outcome = undefined;
      throw error;
    }
  }

  /** @param {string} template @param {Record<string, string | number>} path @param {string} key @param {AbortSignal} [signal] */
  #lookUp(template, path, key, signal) {
    return this.#role.getOrNull(template, path, 'request_not_found', { key, signal });
  }
}
