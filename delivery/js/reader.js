// @ts-check
/**
 * A reader of a room (docs/reference/room-events.md): a moderator's page, a bot, an overlay. It hands out every event of
 * the room once, in order, across network losses, server restarts and expired tokens, or reports a gap.
 *
 * It reads server-sent events with `fetch`, because an `EventSource` can neither send a token nor ask for another
 * ticket. It needs `fetch` and streams: every browser, Node.js 18, Deno.
 */

/** @typedef {import('./presenter.d.ts').ChatEvent} ChatEvent */
/** @typedef {import('./reader.d.ts').ReaderOptions} ReaderOptions */
/** @typedef {import('./reader.d.ts').ReaderStatus} ReaderStatus */
/** @typedef {{ event: string, id: string | null, data: string, retry: number | null }} Block */

/** Remembered ids, to recognise events that come again after a reconnect. */
const MAX_SEEN = 20_000;

/** From the request to the first event. */
const WELCOME_TIMEOUT_MS = 12_000;

/** The keepalive interval if the welcome has none. */
const KEEPALIVE_SECONDS = 20;

/** A reconnect waits a random part of 0.5, 1, 2, ... 20 s, so that clients do not overload a restarted server. */
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 20_000;

/** Answers that another attempt would not change. 401 is tried once more with another token. */
const FINAL = [400, 403, 404, 405];

/** Members that hold user ids. `JSON.parse` would turn an id above 2^53 - 1 into another user's. */
const WIDE_ID = /"(idx|user|presenterIdx)":\s*(\d{16,})/g;

/**
 * Reads a room, and reconnects until `close()`, or until the server says that a retry is useless.
 * @param {ReaderOptions} options
 * @returns {import('./reader.d.ts').Reader}
 */
export function readRoom(options) {
  return new Reader(options);
}

class Reader {
  #options;
  /** @type {ReaderStatus} */
  #status = { state: 'connecting' };
  /** The handler was given every event up to here. @type {string | null} */
  #position;
  #seen = new Set();
  #failures = 0;
  /** Whether the server refused the last token. */
  #expired = false;
  #closed = new AbortController();

  /** @param {ReaderOptions} options */
  constructor(options) {
    this.#options = options;
    this.#position = options.position ?? null;
    this.#run().catch(report);
  }

  get status() {
    return this.#status;
  }

  get position() {
    return this.#position;
  }

  /** Stops reading. No event is handed out any more. */
  close() {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#tell({ state: 'closed' });
  }

  async #run() {
    while (!this.#closed.signal.aborted) {
      this.#tell({ state: 'connecting' });
      let waitMs = null;
      let reason = 'the stream ended';
      try {
        waitMs = await this.#read();
      } catch (error) {
        if (error instanceof Refused && error.isFinal) {
          this.#closed.abort();
          this.#tell({ state: 'stopped', reason: error.message });
          return;
        }
        if (error instanceof Refused) waitMs = error.retryMs;
        reason = error instanceof Error ? error.message : String(error);
      }
      if (this.#closed.signal.aborted) return;
      const backoff = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
      const retryInMs = Math.round(waitMs ?? backoff * Math.random());
      if (retryInMs > 0) this.#tell({ state: 'waiting', reason, retryInMs });
      await pause(retryInMs, this.#closed.signal);
    }
  }

  /** Reads one stream to its end. Returns how long to wait before the next, if the server said so. */
  async #read() {
    const { url, room, getToken, getTicket, from = 'now' } = this.#options;
    const wasExpired = this.#expired;
    const token = await getToken?.({ expired: wasExpired });
    const ticket = await getTicket?.();
    this.#expired = false;
    const connection = new AbortController();
    const stop = () => connection.abort();
    this.#closed.signal.addEventListener('abort', stop);
    let silenceMs = WELCOME_TIMEOUT_MS;
    let deadline = setTimeout(stop, silenceMs);
    try {
      const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(this.#position && { 'Last-Event-ID': this.#position }) };
      const address = `${url.replace(/\/$/, '')}/v1/rooms/${room}/events?from=${encodeURIComponent(from)}`;
      const asked = ticket ? `${address}&ticket=${encodeURIComponent(ticket)}` : address;
      const answer = await fetch(asked, { headers, signal: connection.signal, cache: 'no-store' });
      if (!answer.ok || !answer.body) throw await refused(answer, wasExpired, () => (this.#expired = true));
      let waitMs = null;
      for await (const block of blocks(answer.body)) {
        if (this.#closed.signal.aborted) return null;
        clearTimeout(deadline);
        if (block.event === 'welcome') silenceMs = 2_000 * this.#welcomed(block);
        else if (block.event === 'message') this.#received(block);
        else if (block.event === 'expired') [this.#expired, waitMs] = [true, 0];
        else if (block.event === 'closed') throw new Refused('the room does not admit this reader any more', true, null);
        else if (block.event === 'reconnect') waitMs = block.retry ?? 0;
        this.#position = block.id ?? this.#position;
        deadline = setTimeout(stop, silenceMs);
      }
      return waitMs;
    } finally {
      clearTimeout(deadline);
      this.#closed.signal.removeEventListener('abort', stop);
      connection.abort();
    }
  }

  /** Returns the keepalive interval, in seconds. @param {Block} block */
  #welcomed(block) {
    const { recovered, keepaliveSeconds, pinned } = JSON.parse(block.data);
    this.#failures = 0;
    this.#tell(pinned === undefined ? { state: 'live' } : { state: 'live', pinned });
    if (recovered === false) call(this.#options.onGap);
    return typeof keepaliveSeconds === 'number' && keepaliveSeconds > 0 ? keepaliveSeconds : KEEPALIVE_SECONDS;
  }

  /** @param {Block} block */
  #received(block) {
    /** @type {ChatEvent} */
    const event = JSON.parse(block.data.replace(WIDE_ID, '"$1":"$2"'));
    if (this.#seen.has(event.id)) return;
    this.#seen.add(event.id);
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.values().next().value);
    call(this.#options.onEvent, event);
  }

  /** @param {ReaderStatus} status */
  #tell(status) {
    if (this.#status.state === 'stopped' || (this.#status.state === 'closed' && status.state !== 'closed')) return;
    this.#status = status;
    call(this.#options.onStatus, status);
  }
}

/** An answer other than 200. */
class Refused extends Error {
  /** @param {string} message @param {boolean} isFinal @param {number | null} retryMs */
  constructor(message, isFinal, retryMs) {
    super(message);
    this.isFinal = isFinal;
    this.retryMs = retryMs;
  }
}

/**
 * @param {Response} answer
 * @param {boolean} wasExpired whether the token was fetched because the last one was refused
 * @param {() => void} expire
 */
async function refused(answer, wasExpired, expire) {
  const problem = await answer.json().catch(() => ({}));
  const message = problem.detail ?? `the server answered ${answer.status}`;
  if (answer.status === 401 && !wasExpired) {
    expire();
    return new Refused(message, false, 0);
  }
  const retryAfter = Number(answer.headers.get('Retry-After'));
  // Spread, so that readers do not come back all at once.
  const retryMs = retryAfter > 0 ? retryAfter * 1_000 * (1 + Math.random()) : null;
  return new Refused(message, answer.status === 401 || FINAL.includes(answer.status), retryMs);
}

/**
 * The events of a stream, as the HTML standard parses them.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Block>}
 */
async function* blocks(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const block = parse(part);
        if (block) yield block;
      }
    }
  } finally {
    // A generator that is left early, too.
    reader.cancel().catch(() => {});
  }
}

/** @param {string} part @returns {Block | null} */
function parse(part) {
  /** @type {Block} */
  const block = { event: 'message', id: null, data: '', retry: null };
  for (const line of part.split('\n')) {
    const [, name, value] = /^(\w+): ?(.*)$/s.exec(line) ?? [];
    if (name === 'event') block.event = value;
    else if (name === 'id') block.id = value;
    else if (name === 'data') block.data += value;
    else if (name === 'retry' && /^\d+$/.test(value)) block.retry = Number(value);
  }
  return block.data ? block : null;
}

/** Calls a function of the page. Its errors are reported, and stop nothing. @param {((...args: any[]) => unknown) | undefined} callback @param {...unknown} args */
function call(callback, ...args) {
  try {
    Promise.resolve(callback?.(...args)).catch(report);
  } catch (error) {
    report(error);
  }
}

/** @param {unknown} error */
function report(error) {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
  else console.error(error);
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, undefined);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}
