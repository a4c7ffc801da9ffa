// @ts-check
/** A role behind its address: who asks, when a request is sent again, and what its errors mean. */

import { Refused, RateLimited, Unavailable, refusal } from './errors.js';

/** @typedef {import('./index.d.ts').RoleOptions} RoleOptions */
/** @typedef {Record<string, string | number>} Path */
/** @typedef {Record<string, string | number | boolean | Date | null | undefined>} Query */
/** @typedef {{ query?: Query, body?: object, key?: string, signal?: AbortSignal }} RequestOptions */

/** A role answers within 25 s (`http.request_timeout`). A longer silence is a lost answer. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Ingest remembers an `Idempotency-Key` for at least 10 minutes. A later retry could store a second message. */
const MAX_PATIENCE_MS = 9 * 60_000;

const BACKOFF_FIRST_MS = 250;
const BACKOFF_MOST_MS = 10_000;

/** Members that hold user ids. `JSON.parse` would turn an id above 2^53 - 1 into another user's. */
const WIDE_ID = /"(idx|user|userIdx|presenterIdx)":\s*(\d{16,})/g;

export class Role {
  /** @type {RoleOptions} */
  options;

  /** @param {RoleOptions} options */
  constructor(options) {
    const { url, patienceMs = 60_000 } = options;
    const { protocol, search, hash } = new URL(url);
    if (!['http:', 'https:'].includes(protocol) || search || hash) {
      throw new TypeError(`url: not a base URL such as https://chat.example.com: ${url}`);
    }
    if (!(patienceMs >= 0 && patienceMs <= MAX_PATIENCE_MS)) {
      throw new RangeError(`patienceMs: 0 to ${MAX_PATIENCE_MS}, not ${patienceMs}`);
    }
    this.options = { ...options, url: String(url).replace(/\/+$/, ''), patienceMs };
  }

  /**
   * Sends a request until its outcome is known, and returns the body of a 2xx.
   * @param {string} method @param {string} template @param {Path} path @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async request(method, template, path, { query, body, key, signal } = {}) {
    const url = this.url(template, path, query);
    const content = body && JSON.stringify(body);
    const own = { ...(content && { 'Content-Type': 'application/json' }), ...(key && { 'Idempotency-Key': key }) };
    const started = performance.now();
    let [mayBeStored, isExpired] = [false, false];
    for (let attempt = 1; ; attempt++) {
      let error;
      try {
        const headers = { ...own, ...(await this.identity(method, url, content, isExpired)) };
        const limit = AbortSignal.any([AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...(signal ? [signal] : [])]);
        const answer = await this.fetch(url, { method, headers, body: content, signal: limit });
        const parsed = parse(await answer.text());
        if (answer.ok && parsed) return parsed;
        error = refusal(answer, parsed, mayBeStored, key);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof TokenError) throw cause.cause;
        const outcome = key === undefined ? undefined : 'unknown';
        error = new Unavailable(`no answer: ${message(cause)}`, { outcome, idempotencyKey: key }, { cause });
      }
      if (this.isRenewable(error, isExpired)) {
        isExpired = true;
        continue;
      }
      mayBeStored = error.outcome === 'unknown';
      const isLimit = error instanceof RateLimited && this.options.retryRateLimits;
      if (error instanceof Refused && !isLimit) throw error;
      const waitMs = Math.max(backoffMs(attempt), error.retryAfterMs ?? 0);
      if (performance.now() - started + waitMs > Number(this.options.patienceMs)) throw error;
      await this.pause(error, waitMs, signal);
    }
  }

  /**
   * A GET whose 404 with that code is an answer: null.
   * @param {string} template @param {Path} path @param {string} absent @param {RequestOptions} [options]
   */
  async getOrNull(template, path, absent, options) {
    try {
      return await this.request('GET', template, path, options);
    } catch (error) {
      if (error instanceof Refused && error.code === absent) return null;
      throw error;
    }
  }

  /**
   * The entries of all pages. A page may be empty and still have a next, which is asked for after `emptyPauseMs`.
   * @param {string} template @param {Path} path @param {string} member @param {Query} query
   * @param {AbortSignal} [signal] @param {number} [emptyPauseMs]
   */
  async *pages(template, path, member, query, signal, emptyPauseMs = 0) {
    for (let after; ;) {
      const page = await this.request('GET', template, path, { query: { ...query, after }, signal });
      yield* page[member];
      if (page.next === undefined) return;
      if (page[member].length === 0) await sleep(emptyPauseMs, signal);
      after = page.next;
    }
  }

  /** @param {string} template @param {Path} path @param {Query} [query] */
  url(template, path, query = {}) {
    const filled = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(path[name]));
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const pairs = given.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]);
    return `${this.options.url}${filled}${given.length > 0 ? `?${new URLSearchParams(pairs)}` : ''}`;
  }

  /**
   * The headers that say who asks.
   * @param {string} method @param {string} url @param {string | undefined} body @param {boolean} expired
   * @returns {Promise<Record<string, string>>}
   */
  async identity(method, url, body, expired) {
    const { token } = this.options;
    try {
      if (typeof token === 'object') return await token.headers(method, url, body);
      const text = typeof token === 'function' ? await token({ expired }) : token;
      return text ? { Authorization: `Bearer ${text}` } : {};
    } catch (cause) {
      throw new TokenError('', { cause });
    }
  }

  /** @param {string} url @param {RequestInit} init */
  fetch(url, init) {
    return (this.options.fetch ?? fetch)(url, { cache: 'no-store', redirect: 'manual', ...init });
  }

  /** @param {{ code?: string }} error @param {boolean} isExpired */
  isRenewable(error, isExpired) {
    return error.code === 'token_expired' && typeof this.options.token === 'function' && !isExpired;
  }

  /** @param {Unavailable | RateLimited} error @param {number} waitMs @param {AbortSignal} [signal] */
  async pause(error, waitMs, signal) {
    this.options.onRetry?.(error, waitMs);
    await sleep(waitMs, signal);
  }
}

/** @param {number} ms @param {AbortSignal} [signal] */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => (clearTimeout(timer), reject(signal?.reason));
    const timer = setTimeout(() => (signal?.removeEventListener('abort', stop), resolve(undefined)), ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The token function failed: no attempt was made, and another would not help. */
class TokenError extends Error {}

/** Full jitter: clients that failed together do not come back together. @param {number} attempt */
export function backoffMs(attempt) {
  return Math.random() * Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** attempt);
}

/** The JSON object of a body, or null: a proxy in between may answer anything. @param {string} text */
export function parse(text) {
  try {
    const parsed = JSON.parse(text.replace(WIDE_ID, '"$1":"$2"'));
    return typeof parsed === 'object' ? parsed : null;
  } catch {
    return null;
  }
}

/** @param {unknown} cause */
export function message(cause) {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? cause.cause.message : cause.message;
}
