// @ts-check
/**
 * A presenter's client for `chat.v1` (docs/reference/presenter-protocol.md). It hands out every event of the room once,
 * in order, across network losses, server restarts and expired tokens, or reports a gap. `relay.js` forwards the events
 * to viewers.
 *
 * The client keeps one position: the handler has taken every event up to it. Every connection starts there, so that the
 * client can drop a connection at any moment. It recognises repeated events by their ids. In a quiet room the server's
 * keepalives advance the position, so that it does not become too old to resume from.
 *
 * The page's callbacks may throw, reject, never settle, or modify their arguments: the client reports errors and
 * continues.
 */

/** @typedef {import('./presenter.d.ts').ChatEvent} ChatEvent */
/** @typedef {import('./presenter.d.ts').PresenterOptions} PresenterOptions */
/** @typedef {import('./presenter.d.ts').Status} Status */
/** @typedef {{ type: 'welcome', position: string | null, recovered: boolean, keepaliveSeconds: number, expiresInSeconds?: number, pinned?: string }} Welcome */
/** @typedef {{ event: ChatEvent, from: Connection } | { reached: string, from: Connection } | { resumedAt: string | null, from: Connection }} Waiting */

/** Events that may wait for a slow handler. With more, the client disconnects meanwhile: the log has them. */
const MAX_WAITING = 10_000;

/** Remembered ids, to recognise repeated events: more than can wait, and some seconds of a very busy room. */
const MAX_SEEN = 20_000;

/** One acknowledgement a second is enough for the protocol. */
const ACK_INTERVAL_MS = 1_000;

/** From the connection attempt to the welcome. The server gives up after 10 s. */
const WELCOME_TIMEOUT_MS = 12_000;

/** Then `getToken` is called again. It may ask the presenter for a password, so a late token is still used. */
const TOKEN_TIMEOUT_MS = 30_000;

/**
 * After this time an unsettled handler no longer delays the next event. If it happens again, the client waits a quarter
 * as long, down to 100 ms, so that a handler that never settles still receives events.
 */
const HANDLER_TIMEOUT_MS = 30_000;
const HANDLER_TIMEOUT_LEAST_MS = 100;

/** Stands for the result of a handler that has not settled in time. */
const OVERDUE = {};

/** The keepalive interval if the welcome has none. */
const KEEPALIVE_SECONDS = 20;

/**
 * The token is renewed after 75 to 90 % of its lifetime. The rest is for retries, and the spread keeps the pages of a
 * platform from renewing all at once. At most once a second.
 */
const RENEW_AT = 0.75;
const RENEW_SPREAD = 0.15;
const RENEW_LEAST_MS = 1_000;

/** 24.8 days, the longest delay of a timer. A timer with a longer delay fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A longer stored position is not used: the server would close the connection for too large a frame. */
const MAX_POSITION_CHARACTERS = 1_024;

/** The characters of a token (`b64token` in RFC 6750). A proxy's error page has blanks and brackets. */
const TOKEN = /^[\w.~+/=-]+$/;

/** Members that hold user ids. `JSON.parse` would turn an id above 2^53 - 1 into another user's. */
const WIDE_ID = /"(idx|user|presenterIdx)":\s*(\d{16,})/g;

/** A reconnect waits a random part of 0.5, 1, 2, ... 20 s, so that clients do not overload a restarted server. */
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 20_000;

/** "Reconnect now" reaches all presenters of a node at once: this spreads them out. */
const AT_ONCE_MS = 250;

/** A session that lasted this long counts as a success, and resets the backoff. */
const STABLE_MS = 5_000;

/**
 * An abandoned `start` may reach the server late, and replace the session that came after it. So may a `start` that was
 * answered 4102: it may have claimed the room. If a session is replaced within this time, this client probably did it
 * itself, and not another page.
 */
const UNANSWERED_MS = 60_000;

/** Close codes for a breach of the protocol. A retry would breach it again. */
const OUR_FAULT = [1002, 1003, 1007, 1009];

/** The room could not be claimed, or may have been. */
const UNCLAIMED = 4102;

/** Not a code of the protocol: the connection ended without one, or this client dropped it. */
const LOST = 1006;

/**
 * Connects, and reconnects until `close()`, or until the server says that a retry is useless.
 * @param {PresenterOptions} options
 * @returns {import('./presenter.d.ts').Presenter}
 */
export function connectPresenter(options) {
  return new Presenter(options);
}

class Presenter {
  #options;
  /** The status that the page was last told. @type {Status} */
  #status = { state: 'connecting' };
  /** The handler has taken every event up to here. @type {string | null} */
  #position;
  /** The connection that events come from. @type {Connection | null} */
  #live = null;
  /** A connection without a welcome. At its welcome it replaces `#live`. @type {Connection | null} */
  #next = null;
  /** The number of connection attempts. */
  #attempt = 0;
  /** The attempt of the last connection. A token for it or for an earlier attempt comes too late. */
  #begun = 0;
  /** Attempts since the last stable session. */
  #failures = 0;
  /** Whether the server refused the last token as expired. */
  #expired = false;
  /** Events, gaps and keepalives that the handler has not taken. @type {Waiting[]} */
  #waiting = [];
  #seen = new Set();
  /** The run of `#handleAll`. @type {Promise<void> | null} */
  #handling = null;
  /** Whether too many events wait for the handler: disconnected until they are taken. */
  #full = false;
  /** The position to acknowledge next. It came on `#live`. @type {string | null} */
  #unacked = null;
  /** When a connection was last dropped, or closed with 4102, between its `start` and its welcome. */
  #unansweredAt = -Infinity;
  /** How long to wait for the next handler. */
  #patienceMs = HANDLER_TIMEOUT_MS;
  /** Whether the last attempt to store the position failed: reported once, not every second. */
  #saveFails = false;
  #ended = false;
  /** When the token of `#live` expires. */
  #tokenEndsAt = Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #renewTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #ackTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stableTimer;

  /** @param {PresenterOptions} options */
  constructor(options) {
    this.#options = options;
    this.#position = stored(options.storage);
    globalThis.addEventListener?.('online', this.#online);
    globalThis.addEventListener?.('pagehide', this.#acknowledge);
    this.#connect();
  }

  get status() {
    return this.#status;
  }

  get position() {
    return this.#position;
  }

  /** Stops taking events, waits for the current handler, acknowledges and closes. */
  async close() {
    // In a page that unloads, nothing after the first `await` runs.
    this.#acknowledge();
    this.#end({ state: 'closed' });
    await this.#handling;
    this.#acknowledge();
    this.#disconnect();
  }

  /** Begins a connection, beside the live one if there is one. */
  async #connect() {
    clearTimeout(this.#retryTimer);
    this.#dropNext();
    if (this.#ended || this.#full) return;
    const attempt = ++this.#attempt;
    if (!this.#live) this.#tell({ state: 'connecting' });
    // `onStatus` may have called `close()`.
    if (this.#ended) return;
    let overdue = false;
    const deadline = setTimeout(() => {
      overdue = true;
      if (attempt === this.#attempt) this.#backOff({ reason: 'getToken has not settled' });
    }, TOKEN_TIMEOUT_MS);
    let token;
    try {
      token = tokenOf(await this.#options.getToken({ expired: this.#expired }));
    } catch (error) {
      if (attempt === this.#attempt && !overdue) this.#backOff({ reason: `no token: ${describe(error)}` });
      return;
    } finally {
      clearTimeout(deadline);
    }
    if (attempt > this.#begun && !this.#ended && !this.#full) this.#begin(token);
  }

  /** @param {string} token */
  #begin(token) {
    clearTimeout(this.#retryTimer);
    this.#begun = this.#attempt;
    this.#expired = false;
    try {
      this.#next = new Connection(this.#options.url, {
        start: (connection) => {
          const place = this.#place();
          connection.keepsWaiting = place.keepsWaiting;
          return { token, ...(place.position === null ? {} : { position: place.position }) };
        },
        onWelcome: this.#welcomed,
        onEvents: this.#received,
        onKeepalive: this.#keptAlive,
        onRenewed: (connection, expiresInSeconds) => {
          if (connection === this.#live) this.#renewIn(expiresInSeconds);
        },
        // The rest of the time is for the handshake.
        onNotice: (withinMs) => this.#connectIn(Math.random() * 0.75 * withinMs),
        onEnd: this.#lost,
      });
    } catch (error) {
      // An invalid URL, or the page's security policy.
      this.#backOff({ reason: `no connection: ${describe(error)}` });
    }
  }

  /** Where a connection starts, and whether waiting events stay. Otherwise they are sent again. */
  #place() {
    const last = this.#waiting[this.#waiting.length - 1];
    // A start before a gap that is still to be reported would report it twice.
    if (!last || !this.#waiting.some((waiting) => 'resumedAt' in waiting)) {
      return { position: this.#position, keepsWaiting: false };
    }
    const end = 'event' in last ? last.event.position : 'reached' in last ? last.reached : last.resumedAt;
    return { position: end ?? this.#position, keepsWaiting: true };
  }

  /** @param {Connection} connection @param {Welcome} welcome */
  #welcomed = (connection, welcome) => {
    // A retry may be scheduled although this connection has now succeeded.
    clearTimeout(this.#retryTimer);
    this.#live?.drop();
    this.#live = connection;
    this.#next = null;
    this.#unacked = null;
    const last = this.#waiting[this.#waiting.length - 1];
    if (!welcome.recovered) {
      // Events before the gap still wait for the handler, and are not sent again.
      if (last && 'resumedAt' in last) this.#waiting.pop();
      const before = last && 'resumedAt' in last ? last.resumedAt : null;
      this.#waiting.push({ resumedAt: welcome.position ?? before, from: connection });
    } else if (!connection.keepsWaiting) {
      // This connection sends everything again that the handler has not taken.
      this.#waiting = [];
      if (this.#position === null && welcome.position !== null) {
        // The first welcome: from here on, a page that comes back learns of what it missed.
        this.#position = this.#unacked = welcome.position;
        this.#acknowledge();
      }
    }
    this.#handle();
    clearTimeout(this.#stableTimer);
    this.#stableTimer = setTimeout(() => (this.#failures = 0), STABLE_MS);
    this.#renewIn(welcome.expiresInSeconds);
    this.#tell(welcome.pinned === undefined ? { state: 'live' } : { state: 'live', pinned: welcome.pinned });
  };

  /**
   * The token of `#live` is valid for this long. Older servers do not say, and never close for it.
   * @param {unknown} seconds
   */
  #renewIn(seconds) {
    clearTimeout(this.#renewTimer);
    if (typeof seconds !== 'number' || !(seconds > 0) || this.#ended) return;
    this.#tokenEndsAt = Date.now() + seconds * 1_000;
    this.#waitToRenew(seconds * 1_000 * (RENEW_AT + RENEW_SPREAD * Math.random()));
  }

  /** @param {number} delayMs */
  #waitToRenew(delayMs) {
    this.#renewTimer = setTimeout(this.#renew, Math.min(LONGEST_TIMER_MS, Math.max(RENEW_LEAST_MS, delayMs)));
  }

  /** Sends another token on the live connection. Without one the server closes it with 4005. */
  #renew = async () => {
    const connection = this.#live;
    const leftMs = this.#tokenEndsAt - Date.now();
    if (this.#ended || !connection || leftMs <= 0) return;
    // Scheduled first: the page may fail or never settle, and the server may not answer.
    this.#waitToRenew(leftMs / 2);
    try {
      const token = tokenOf(await this.#options.getToken({ expired: true }));
      if (connection === this.#live && !this.#ended) connection.say({ type: 'token', token });
    } catch (error) {
      report(error);
    }
  };

  /** @param {Connection} connection @param {ChatEvent[]} events */
  #received = (connection, events) => {
    // The old connection counts until its successor's welcome.
    if (connection !== this.#live || this.#ended) return;
    if (this.#waiting.length + events.length > MAX_WAITING) {
      this.#full = true;
      this.#disconnect();
      this.#tell({ state: 'waiting', reason: 'onEvent is too slow' });
      return;
    }
    for (const event of events) this.#waiting.push({ event, from: connection });
    this.#handle();
  };

  /** The client has every event of the room up to the position. @param {Connection} connection @param {string | null} position */
  #keptAlive = (connection, position) => {
    // While events wait for the handler it is not needed: there will be another.
    if (connection !== this.#live || this.#ended || !position || this.#waiting.length > 0) return;
    this.#waiting.push({ reached: position, from: connection });
    this.#handle();
  };

  #handle() {
    this.#handling ??= this.#handleAll();
  }

  async #handleAll() {
    // `#handling` must be set before it is cleared.
    await undefined;
    for (let next; !this.#ended && (next = this.#waiting.shift()); ) {
      if ('resumedAt' in next) {
        const gap = { after: this.#position, resumedAt: next.resumedAt };
        // Set before the report, so that a reconnect meanwhile does not report the gap again.
        this.#position = next.resumedAt ?? this.#position;
        await this.#call('onGap', () => this.#options.onGap?.(gap));
      } else if ('event' in next) {
        // Read before the handler can modify them.
        const { id, position } = next.event;
        if (!this.#seen.has(id)) {
          this.#remember(id);
          await this.#call('onEvent', () => this.#options.onEvent(next.event));
        }
        this.#position = position;
      } else {
        this.#position = next.reached;
      }
      // A session does not know positions of an earlier connection.
      if (next.from === this.#live) this.#unacked = this.#position;
      this.#ackTimer ??= setTimeout(this.#acknowledge, ACK_INTERVAL_MS);
    }
    this.#handling = null;
    if (this.#full && !this.#ended) {
      this.#full = false;
      this.#connect();
    }
  }

  /**
   * An event that the page fails on, or never finishes, must not stop the chat. It counts as taken.
   * @param {string} name
   * @param {() => unknown} handler
   */
  async #call(name, handler) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let isOverdue = false;
    try {
      const taking = handler();
      if (typeof (/** @type {any} */ (taking)?.then) === 'function') {
        const late = new Promise((resolve) => (timer = setTimeout(resolve, this.#patienceMs, OVERDUE)));
        isOverdue = (await Promise.race([taking, late])) === OVERDUE;
      }
    } catch (error) {
      report(error);
    } finally {
      clearTimeout(timer);
    }
    if (isOverdue && this.#patienceMs === HANDLER_TIMEOUT_MS) {
      report(new Error(`${name} has not settled within ${HANDLER_TIMEOUT_MS / 1_000} s: continuing`));
    }
    this.#patienceMs = isOverdue ? Math.max(HANDLER_TIMEOUT_LEAST_MS, this.#patienceMs / 4) : HANDLER_TIMEOUT_MS;
  }

  /** @param {string} id */
  #remember(id) {
    this.#seen.add(id);
    // A set keeps insertion order: the first id is the oldest.
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.values().next().value);
  }

  #acknowledge = () => {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#save();
    if (this.#unacked && this.#live) {
      this.#live.say({ type: 'ack', position: this.#unacked });
      this.#unacked = null;
    }
  };

  #save() {
    const { storage } = this.#options;
    const position = this.#position;
    if (!storage || position === null) return;
    try {
      const saving = /** @type {any} */ (storage.save(position));
      if (typeof saving?.then === 'function') Promise.resolve(saving).catch(report);
      this.#saveFails = false;
    } catch (error) {
      if (!this.#saveFails) report(error);
      this.#saveFails = true;
    }
  }

  /** @param {Connection} connection @param {number} code @param {string} reason */
  #lost = (connection, code, reason) => {
    if (connection === this.#live) {
      this.#live = null;
      clearTimeout(this.#stableTimer);
      clearTimeout(this.#renewTimer);
      // Its successor has started, and is probably why this one was closed.
      if (this.#next?.started) return;
    } else {
      // After any other code, the server has no late `start` of it.
      if (code === LOST || code === UNCLAIMED) this.#dropNext();
      this.#next = null;
    }
    if (this.#ended) return;
    const why = { code, reason };
    if (code === 4005) {
      this.#expired = true;
      this.#again(why);
    } else if (code === 4002 && Math.abs(Date.now() - this.#unansweredAt) < UNANSWERED_MS) {
      this.#backOff(why);
    } else if ((code >= 4000 && code <= 4099) || OUR_FAULT.includes(code)) {
      this.#disconnect();
      this.#end({ state: 'stopped', ...why });
    } else if (code >= 4200 && code <= 4299) {
      this.#again(why);
    } else {
      this.#backOff(why);
    }
  };

  /** Reconnects at once, unless the last attempt did. @param {{ code?: number, reason: string }} why */
  #again(why) {
    if (this.#failures > 0) return this.#backOff(why);
    this.#failures += 1;
    this.#wait(Math.random() * AT_ONCE_MS, why);
  }

  /** @param {{ code?: number, reason: string }} why */
  #backOff(why) {
    const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Offline: the `online` event reconnects at once. Now and then the client retries all the same, because a machine
    // without a network can still reach itself.
    const offline = globalThis.navigator?.onLine === false;
    this.#wait(offline ? BACKOFF_MOST_MS : Math.random() * most, offline ? { ...why, reason: 'offline' } : why);
  }

  /** @param {number} delayMs @param {{ code?: number, reason: string }} why */
  #wait(delayMs, why) {
    if (!this.#live) this.#tell({ state: 'waiting', retryInMs: Math.round(delayMs), ...why });
    this.#connectIn(delayMs);
  }

  /** @param {number} delayMs */
  #connectIn(delayMs) {
    clearTimeout(this.#retryTimer);
    if (this.#ended) return;
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  /** The network is back. The old connection may be dead without an event: a new one replaces it. */
  #online = () => {
    this.#failures = 0;
    this.#connect();
  };

  /** @param {Status} status */
  #end(status) {
    if (this.#ended) return;
    this.#ended = true;
    this.#attempt += 1;
    this.#dropNext();
    this.#waiting = [];
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#renewTimer);
    clearTimeout(this.#ackTimer);
    globalThis.removeEventListener?.('online', this.#online);
    globalThis.removeEventListener?.('pagehide', this.#acknowledge);
    this.#tell(status);
  }

  #dropNext() {
    if (this.#next?.started) this.#unansweredAt = Date.now();
    this.#next?.drop();
    this.#next = null;
  }

  #disconnect() {
    this.#live?.drop();
    this.#live = null;
    this.#dropNext();
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#renewTimer);
  }

  /** @param {Status} status */
  #tell(status) {
    this.#status = status;
    try {
      const telling = /** @type {any} */ (this.#options.onStatus?.(status));
      if (typeof telling?.then === 'function') Promise.resolve(telling).catch(report);
    } catch (error) {
      report(error);
    }
  }
}

/** The stored position, if it can be one. @param {PresenterOptions['storage']} storage */
function stored(storage) {
  if (!storage) return null;
  try {
    const position = storage.load() ?? null;
    if (position === null || position === '') return null;
    if (typeof position === 'string' && position.length <= MAX_POSITION_CHARACTERS) return position;
    report(new Error('storage.load did not return a position'));
  } catch (error) {
    report(error);
  }
  return null;
}

/** @param {unknown} given */
function tokenOf(given) {
  const token = typeof given === 'string' ? given.trim() : '';
  // The server would refuse it for good.
  if (!TOKEN.test(token)) throw new Error('getToken did not return a token');
  return token;
}

/** @param {string} text */
function parse(text) {
  const exact = text.replace(WIDE_ID, (member, name, id) =>
    Number.isSafeInteger(Number(id)) ? member : `"${name}":"${id}"`,
  );
  return JSON.parse(exact);
}

/** @param {unknown} error */
function describe(error) {
  try {
    return String(error);
  } catch {
    return 'an unprintable error';
  }
}

/** Reports as an uncaught error, where the engine can. @param {unknown} error */
function report(error) {
  try {
    if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
    else globalThis.console?.error(error);
  } catch {
    // Nothing is left to report to.
  }
}

/** One socket, from the attempt to its end: frames, and the silence timeout. `Presenter` decides what follows. */
class Connection {
  #socket;
  #owner;
  #silenceMs = WELCOME_TIMEOUT_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** Whether `start` was sent. From then on this is the server's newest session. */
  started = false;
  /** Whether it started after the events that wait for the handler. */
  keepsWaiting = false;

  /**
   * @param {string | URL} url
   * @param {{
   *   start(connection: Connection): { token: string, position?: string },
   *   onWelcome(connection: Connection, welcome: Welcome): void,
   *   onEvents(connection: Connection, events: ChatEvent[]): void,
   *   onKeepalive(connection: Connection, position: string | null): void,
   *   onRenewed(connection: Connection, expiresInSeconds: unknown): void,
   *   onNotice(withinMs: number): void,
   *   onEnd(connection: Connection, code: number, reason: string): void,
   * }} owner
   */
  constructor(url, owner) {
    this.#owner = owner;
    this.#socket = new WebSocket(url, 'chat.v1');
    this.#socket.onopen = () => {
      this.started = true;
      this.say({ type: 'start', ...owner.start(this) });
    };
    this.#socket.onmessage = ({ data }) => this.#hear(data);
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#watch();
  }

  /** @param {object} frame */
  say(frame) {
    try {
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
    } catch (error) {
      // For instance a full buffer. The silence timeout then ends the connection.
      report(error);
    }
  }

  /** Closes the socket, without further callbacks. */
  drop() {
    clearTimeout(this.#silence);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(1000);
  }

  /** @param {string} text */
  #hear(text) {
    this.#watch();
    let frame;
    try {
      frame = parse(text);
    } catch {
      // Skipping it could skip events. Another connection repeats them.
      return this.#end(LOST, 'received a frame that is not JSON');
    }
    if (typeof frame?.type !== 'string' || (frame.type === 'events' && !Array.isArray(frame.events))) {
      return this.#end(LOST, 'received a frame that is not of chat.v1');
    }
    switch (frame.type) {
      case 'welcome':
        // A connection without a frame for twice the keepalive interval is dead.
        this.#silenceMs = 2_000 * (frame.keepaliveSeconds > 0 ? frame.keepaliveSeconds : KEEPALIVE_SECONDS);
        this.#watch();
        return this.#owner.onWelcome(this, frame);
      case 'events':
        return this.#owner.onEvents(this, frame.events);
      case 'keepalive':
        return this.#owner.onKeepalive(this, frame.position);
      case 'renewed':
        return this.#owner.onRenewed(this, frame.expiresInSeconds);
      case 'reconnect':
        return this.#owner.onNotice(frame.withinMs);
      case 'error':
        // A close follows a fatal error. Its code says what to do.
        return console.warn(`chat.v1: ${frame.code}: ${frame.message}`);
    }
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(LOST, 'received nothing in time'), this.#silenceMs);
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    this.drop();
    this.#owner.onEnd(this, code, reason);
  }
}
