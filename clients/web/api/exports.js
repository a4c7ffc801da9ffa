// @ts-check
/** Exports: a stream of any size that is known to be complete, and goes on after a broken connection. */

import { Refused, Unavailable, refusal } from './errors.js';
import { backoffMs, message, parse } from './role.js';

/** @typedef {import('./role.js').Role} Role */
/** @typedef {import('./role.js').Path} Path */
/** @typedef {import('./role.js').Query} Query */

/**
 * A room comes in the order of the log, and times are of the ingest nodes' clocks. The archive keeps every time within
 * 2 s after and 8 s before the message was stored, so a message is at most 10 s older than any message before it.
 */
const OVERLAP_MS = 10_000;

/** The longest silence within a stream. */
const STALL_MS = 60_000;

export class Export {
  /** What left the log before it was archived. @type {any[]} */
  gaps = [];
  #open;
  #role;
  #signal;

  /** @param {Role} role @param {string} template @param {Path} path @param {Query} query @param {AbortSignal} [signal] */
  constructor(role, template, path, query, signal) {
    this.#role = role;
    this.#signal = signal;
    this.#open = (/** @type {Query} */ since) =>
      open(role, template, path, { ...query, ...since, format: 'ndjson' }, signal);
  }

  async *[Symbol.asyncIterator]() {
    let latest = -Infinity;
    /** The ids of the last seconds, and their times: what comes again after a resume. @type {Map<string, number>} */
    const recent = new Map();
    const known = new Set();
    let [progressed, failures] = [performance.now(), 0];
    for (;;) {
      try {
        const { body, stall } = await this.#open(latest > 0 ? { from: new Date(latest - OVERLAP_MS) } : {});
        for await (const line of lines(body, stall)) {
          const entry = parse(line);
          if (!entry) throw new Error('a line is not JSON');
          if ('gap' in entry) {
            // After a resume they come again.
            if (!known.has(line)) this.gaps.push(entry.gap);
            known.add(line);
            continue;
          }
          if (recent.has(entry.id)) continue;
          [progressed, failures] = [performance.now(), 0];
          const sentAt = Date.parse(entry.sentAt);
          latest = Math.max(latest, sentAt);
          recent.set(entry.id, sentAt);
          for (const [id, at] of recent) {
            if (at >= latest - 2 * OVERLAP_MS) break;
            recent.delete(id);
          }
          yield entry;
        }
        return;
      } catch (cause) {
        this.#signal?.throwIfAborted();
        if (cause instanceof Refused) throw cause;
        const error =
          cause instanceof Unavailable
            ? cause
            : new Unavailable(`the export broke off: ${message(cause)}`, {}, { cause });
        const waitMs = Math.max(backoffMs(++failures), error.retryAfterMs ?? 0);
        if (performance.now() - progressed + waitMs > Number(this.#role.options.patienceMs)) throw error;
        await this.#role.pause(error, waitMs, this.#signal);
      }
    }
  }
}

/**
 * An export as it comes, tried again until it begins.
 * @param {Role} role @param {string} template @param {Path} path @param {Query} query @param {AbortSignal} [signal]
 */
export async function openFile(role, template, path, query, signal) {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      const { body, headers } = await open(role, template, path, query, signal);
      return { body, gaps: gapsOf(headers.get('Archive-Gaps')) };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      const waitMs = Math.max(backoffMs(attempt), error.retryAfterMs ?? 0);
      if (performance.now() - started + waitMs > Number(role.options.patienceMs)) throw error;
      await role.pause(error, waitMs, signal);
    }
  }
}

/**
 * A 200 with its body unread. The body fails where it does not end as HTTP says, and when `stall` is aborted.
 * @param {Role} role @param {string} template @param {Path} path @param {Query} query @param {AbortSignal} [signal]
 */
async function open(role, template, path, query, signal) {
  const url = role.url(template, path, query);
  for (let isExpired = false; ; isExpired = true) {
    const stall = new AbortController();
    const headers = await role.identity('GET', url, undefined, isExpired);
    const limit = AbortSignal.any([stall.signal, ...(signal ? [signal] : [])]);
    let answer;
    try {
      answer = await within(stall, role.fetch(url, { headers, signal: limit }));
    } catch (cause) {
      signal?.throwIfAborted();
      throw new Unavailable(`no answer: ${message(cause)}`, {}, { cause });
    }
    if (answer.status === 200 && answer.body) return { headers: answer.headers, body: answer.body, stall };
    const error = refusal(answer, parse(await within(stall, answer.text())), false);
    if (!role.isRenewable(error, isExpired)) throw error;
  }
}

/**
 * Aborts what takes too long.
 * @template T
 * @param {AbortController} stall @param {Promise<T>} pending
 */
async function within(stall, pending) {
  const timer = setTimeout(() => stall.abort(new Error(`nothing came for ${STALL_MS / 1_000} s`)), STALL_MS);
  try {
    return await pending;
  } finally {
    clearTimeout(timer);
  }
}

/** @param {ReadableStream<Uint8Array>} body @param {AbortController} stall */
async function* lines(body, stall) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await within(stall, reader.read());
      if (done) break;
      const parts = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
    if (rest) throw new Error('the last line is truncated');
  } finally {
    // A generator that is left early, too.
    reader.cancel().catch(() => {});
  }
}

/**
 * The header `Archive-Gaps` (RFC 9651): `20;after="…";before="…"`, separated by commas.
 * @param {string | null} header
 */
function gapsOf(header) {
  return (header ? header.split(',') : []).map((item) => {
    const [batches, ...parameters] = item.trim().split(';');
    const pairs = parameters.map((parameter) => parameter.trim().split('='));
    return {
      batches: Number(batches),
      ...Object.fromEntries(pairs.map(([name, value]) => [name, value.replaceAll('"', '')])),
    };
  });
}
