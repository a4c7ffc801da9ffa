// @ts-check
/** The archive: search messages, export them, replay and measure broadcasts, read the audit, erase users. */

import { Export, openFile } from './exports.js';
import { Role } from './role.js';

/** @typedef {import('./index.d.ts').CallOptions} CallOptions */
/** @typedef {import('./index.d.ts').Time} Time */

const ROOM_MESSAGES = '/v1/rooms/{presenterIdx}/messages';
const USER_MESSAGES = '/v1/users/{userIdx}/messages';
const MESSAGE = '/v1/rooms/{presenterIdx}/messages/{messageId}';
const TRACE = '/v1/rooms/{presenterIdx}/messages/{messageId}/trace';
const ROOM_EXPORT = '/v1/rooms/{presenterIdx}/export';
const USER_EXPORT = '/v1/users/{userIdx}/export';
const BROADCASTS = '/v1/rooms/{presenterIdx}/broadcasts';
const BROADCAST = '/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}';
const REPLAY = '/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay';
const BROADCAST_EXPORT = '/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/export';
const STATISTICS = '/v1/rooms/{presenterIdx}/statistics';
const CHATTERS = '/v1/rooms/{presenterIdx}/statistics/chatters';
const WORDS = '/v1/rooms/{presenterIdx}/statistics/words';
const HIGHLIGHTS = '/v1/rooms/{presenterIdx}/statistics/highlights';
const ROOM_AUDIT = '/v1/rooms/{presenterIdx}/moderation';
const REPORTS = '/v1/rooms/{presenterIdx}/reports';
const AUDIT = '/v1/moderation';
const USER = '/v1/users/{userIdx}';
const ERASURES = '/v1/users/{userIdx}/erasures';

/** The end of a running broadcast is asked for again after so long. */
const LIVE_MS = 5_000;

export class Archive {
  #role;

  /** @param {import('./index.d.ts').RoleOptions} options */
  constructor(options) {
    this.#role = new Role(options);
  }

  /** @param {import('./index.d.ts').Token} token */
  withToken(token) {
    return new Archive({ ...this.#role.options, token });
  }

  /** @param {import('./index.d.ts').Search} search */
  search({ pageSize = 1_000, signal, ...search }) {
    const { template, path, query } = place(ROOM_MESSAGES, USER_MESSAGES, search);
    return this.#role.pages(template, path, 'messages', { ...query, first: pageSize }, signal);
  }

  /** @param {number} room @param {string} messageId @param {CallOptions} [options] */
  getMessage(room, messageId, options) {
    return this.#role.getOrNull(MESSAGE, { presenterIdx: room, messageId }, 'message_not_found', options);
  }

  /** @param {number} room @param {string} messageId @param {{ position?: string } & CallOptions} [options] */
  trace(room, messageId, { position, signal } = {}) {
    const options = { query: { position }, signal };
    return this.#role.getOrNull(TRACE, { presenterIdx: room, messageId }, 'message_not_found', options);
  }

  /** @param {import('./index.d.ts').ExportSearch} search */
  export({ signal, ...search }) {
    const { template, path, query } = place(ROOM_EXPORT, USER_EXPORT, search);
    return new Export(this.#role, template, path, query, signal);
  }

  /** @param {import('./index.d.ts').FileSearch} search */
  exportFile({ signal, ...search }) {
    const { template, path, query } = place(ROOM_EXPORT, USER_EXPORT, search);
    return openFile(this.#role, template, path, query, signal);
  }

  /** @param {number} room @param {import('./index.d.ts').Span & import('./index.d.ts').ListOptions} [options] */
  broadcasts(room, { from, to, pageSize = 100, signal } = {}) {
    return this.#role.pages(BROADCASTS, { presenterIdx: room }, 'broadcasts', { from, to, first: pageSize }, signal);
  }

  /** @param {number} room @param {string} broadcastId @param {CallOptions} [options] */
  getBroadcast(room, broadcastId, options) {
    return this.#role.getOrNull(BROADCAST, { presenterIdx: room, broadcastId }, 'broadcast_not_found', options);
  }

  /** @param {number} room @param {string} broadcastId @param {import('./index.d.ts').ReplaySearch} [options] */
  replay(room, broadcastId, { from = 0, timeline = 'segments', pageSize = 1_000, signal } = {}) {
    const query = { from, timeline, first: pageSize };
    return this.#role.pages(REPLAY, { presenterIdx: room, broadcastId }, 'messages', query, signal, LIVE_MS);
  }

  /** @param {number} room @param {string} broadcastId @param {import('./index.d.ts').BroadcastFile} [options] */
  exportBroadcast(room, broadcastId, { format = 'ndjson', timeline = 'segments', signal } = {}) {
    return openFile(this.#role, BROADCAST_EXPORT, { presenterIdx: room, broadcastId }, { format, timeline }, signal);
  }

  /** @param {number} room @param {import('./index.d.ts').Buckets} options */
  statistics(room, { from, to, bucketSeconds = 60, signal }) {
    return this.#role.request(
      'GET',
      STATISTICS,
      { presenterIdx: room },
      { query: { from, to, bucketSeconds }, signal },
    );
  }

  /** @param {number} room @param {import('./index.d.ts').Most} options */
  chatters(room, { from, to, first = 10, signal }) {
    return this.#measure(CHATTERS, 'chatters', room, { from, to, first }, signal);
  }

  /** @param {number} room @param {import('./index.d.ts').Most} options */
  words(room, { from, to, first = 50, signal }) {
    return this.#measure(WORDS, 'words', room, { from, to, first }, signal);
  }

  /** @param {number} room @param {import('./index.d.ts').Most & import('./index.d.ts').Buckets} options */
  highlights(room, { from, to, bucketSeconds = 10, first = 10, signal }) {
    return this.#measure(HIGHLIGHTS, 'highlights', room, { from, to, bucketSeconds, first }, signal);
  }

  /** @param {import('./index.d.ts').AuditSearch} [search] */
  decisions({ room, pageSize = 1_000, signal, ...query } = {}) {
    const [template, path] = room === undefined ? [AUDIT, {}] : [ROOM_AUDIT, { presenterIdx: room }];
    return this.#role.pages(template, path, 'decisions', { ...query, first: pageSize }, signal);
  }

  /** @param {number} room @param {{ state?: 'open' | 'closed' } & import('./index.d.ts').ListOptions} [options] */
  reports(room, { state, pageSize = 100, signal } = {}) {
    return this.#role.pages(REPORTS, { presenterIdx: room }, 'reports', { state, first: pageSize }, signal);
  }

  /** @param {number} user @param {{ mode?: 'remove' | 'anonymise' } & CallOptions} [options] */
  erase(user, { mode = 'remove', signal } = {}) {
    return this.#role.request('DELETE', USER, { userIdx: user }, { query: { mode }, signal });
  }

  /** @param {number} user @param {CallOptions} [options] */
  async erasures(user, options) {
    return (await this.#role.request('GET', ERASURES, { userIdx: user }, options)).erasures;
  }

  /** @param {string} template @param {string} member @param {number} room @param {any} query @param {AbortSignal} [signal] */
  async #measure(template, member, room, query, signal) {
    return (await this.#role.request('GET', template, { presenterIdx: room }, { query, signal }))[member];
  }
}

/**
 * The path of a room's messages, filtered by user, or of a user's messages in every room.
 * @param {string} ofRoom @param {string} ofUser @param {Record<string, any>} search
 * @returns {{ template: string, path: Record<string, number>, query: any }}
 */
function place(ofRoom, ofUser, { room, user, ...query }) {
  if (room !== undefined) return { template: ofRoom, path: { presenterIdx: room }, query: { ...query, user } };
  if (user === undefined) throw new TypeError('name a room, a user, or both');
  return { template: ofUser, path: { userIdx: user }, query };
}
