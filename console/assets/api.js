// @ts-check
/** Requests to the public API, with the session's token. */

import { session } from './session.js';

/** @typedef {'archive' | 'ingest' | 'delivery'} Role */
/** @typedef {{ query?: Record<string, any>, body?: unknown, signal?: AbortSignal, key?: string }} Options */

/** Attempts of a decision that the server could not decide. They are one request, under one key. */
const ATTEMPTS = 4;

/** Without a `Retry-After`. */
const RETRY_MS = 1_000;

/** Members that hold ids. `JSON.parse` would turn one above 2^53 - 1 into another. */
const WIDE_ID = /"(idx|user|userIdx|presenterIdx)":\s*(\d{16,})/g;

/** Where each role is. The archive is where this page comes from. @type {Record<Role, string>} */
export const bases = { archive: '', ingest: '', delivery: '' };

export async function loadBases() {
  const here = new URL('..', document.baseURI).href.replace(/\/$/, '');
  const { ingestUrl, deliveryUrl } = await (await fetch('config.json')).json();
  Object.assign(bases, { archive: here, ingest: ingestUrl || here, delivery: deliveryUrl || here });
}

/** An answer other than 2xx. `status` is 0 if there was none. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} detail @param {number | null} retryMs */
  constructor(status, code, detail, retryMs) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryMs = retryMs;
  }
}

/** Reads. @param {Role} role @param {string} path @param {Options} [options] @returns {Promise<any>} */
export async function get(role, path, options = {}) {
  return parse(await (await send(role, 'GET', path, options)).text());
}

/**
 * Asks a question that has a body.
 * @param {Role} role @param {string} path @param {Options} options @returns {Promise<any>}
 */
export async function ask(role, path, options) {
  return parse(await (await send(role, 'POST', path, options)).text());
}

/**
 * Decides: a request that changes something. It is tried again while its outcome is unknown, and takes effect once.
 * @param {'POST' | 'PUT' | 'PATCH' | 'DELETE'} method @param {string} path @param {Options} [options] @returns {Promise<any>}
 */
export async function decide(method, path, options = {}) {
  const key = randomKey();
  for (let attempt = 1; ; attempt++) {
    try {
      return parse(await (await send('ingest', method, path, { ...options, key })).text());
    } catch (error) {
      const isPassing = error instanceof ApiError && [0, 503].includes(error.status);
      if (!isPassing || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryMs ?? RETRY_MS));
    }
  }
}

/**
 * The answer, if it is 2xx. A token that the server refuses is replaced by the user, and the request sent once more.
 * @param {Role} role @param {string} method @param {string} path @param {Options} [options]
 */
export async function send(role, method, path, options = {}) {
  const answer = await attempt(role, method, path, options);
  if (answer.status !== 401) return succeeded(answer);
  await session.renewed();
  options.signal?.throwIfAborted();
  return succeeded(await attempt(role, method, path, options));
}

/** @param {Role} role @param {string} method @param {string} path @param {Options} options */
async function attempt(role, method, path, { query = {}, body, signal, key }) {
  const url = new URL(bases[role] + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, String(value));
  }
  const headers = {
    ...(session.token && { Authorization: `Bearer ${session.token}` }),
    ...(body !== undefined && { 'Content-Type': 'application/json' }),
    ...(key && { 'Idempotency-Key': key }),
  };
  try {
    return await fetch(url, {
      method,
      headers,
      signal,
      body: body ? JSON.stringify(body) : undefined,
      cache: 'no-store',
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new ApiError(0, 'unreachable', error instanceof Error ? error.message : String(error), null);
  }
}

/** @param {Response} answer */
async function succeeded(answer) {
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const retryAfter = Number(answer.headers.get('Retry-After'));
  const detail = problem.detail ?? `${answer.status} ${answer.statusText}`;
  throw new ApiError(answer.status, problem.code ?? '', detail, retryAfter > 0 ? retryAfter * 1_000 : null);
}

/** @param {string} text */
function parse(text) {
  return text ? JSON.parse(text.replace(WIDE_ID, '"$1":"$2"')) : null;
}

/** `crypto.randomUUID` exists only on secure origins. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
