// @ts-check
/**
 * A presenter's end of `chat.v1` (docs/reference/presenter-protocol.md): hands out every event of the room once, in order, across
 * lost networks, restarted servers and expired tokens, or says plainly that there is a gap. It knows nothing of what
 * becomes of the events; `relay.js` forwards them to viewers.
 *
 * It keeps one position: up to there the handler has taken everything. Every connection starts there, so that a connection
 * can be given up at any moment and nothing has to be remembered about it; what comes again is known by its id. In a quiet
 * room the position moves with the server's keepalives, so that it does not grow too old to be known.
 *
 * The page's callbacks may throw, reject, never settle, or change what they are given: that is reported, and the client
 * goes on.
 */

/** @typedef {import('./presenter.d.ts').ChatEvent} ChatEvent */
/** @typedef {import('./presenter.d.ts').PresenterOptions} PresenterOptions */
/** @typedef {import('./presenter.d.ts').Status} Status */
/** @typedef {{ type: 'welcome', position: string | null, recovered: boolean, keepaliveSeconds: number, expiresInSeconds?: number }} Welcome */
/** @typedef {{ event: ChatEvent, from: Connection } | { reached: string, from: Connection } | { resumedAt: string | null, from: Connection }} Waiting */

/** Events that may wait for a slow handler. Beyond, the connection is given up until they are taken: the log has them. */
const MAX_WAITING = 10_000;

/** Ids that are remembered, to know what comes again: more than can wait, and some seconds of a very busy room. */
const MAX_SEEN = 20_000;

/** The protocol asks for no more than one acknowledgement a second. */
const ACK_INTERVAL_MS = 1_000;

/** From the attempt to connect to the welcome: the server itself gives up after 10 s. */
const WELCOME_TIMEOUT_MS = 12_000;

/** Then `getToken` is asked again. A page may ask people for their password in there; a late token is used all the same. */
const TOKEN_TIMEOUT_MS = 30_000;

/**
 * A handler that has not settled by then holds up the next event no longer. One that does so again is waited for a quarter as
 * long, down to a tenth of a second: a page that hangs for good still gets what is said.
 */
const HANDLER_TIMEOUT_MS = 30_000;
const HANDLER_TIMEOUT_LEAST_MS = 100;

/** What comes in the place of a handler's result. */
const OVERDUE = {};

/** Where the server does not say how often it breaks the silence. */
const KEEPALIVE_SECONDS = 20;

/**
 * Another token is asked for when so much of the last one's time is over: the rest is for a page that has to try again, and
 * the pages of a platform do not ask all at once. Not more often than once a second.
 */
const RENEW_AT = 0.75;
const RENEW_SPREAD = 0.15;
const RENEW_LEAST_MS = 1_000;

/** 24.8 days, the longest that a timer waits. Of a longer one the engines make none. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A stored position that is longer is none: the server would take the frame for an attack. */
const MAX_POSITION_CHARACTERS = 1_024;

/** What a token is made of (`b64token` in RFC 6750). A proxy's error page has blanks and brackets. */
const TOKEN = /^[\w.~+/=-]+$/;

/** Members that hold ids of users. An id above 2^53 - 1 would come out of `JSON.parse` as another user's. */
const WIDE_ID = /"(idx|user|presenterIdx)":\s*(\d{16,})/g;

/** Reconnects wait for a random part of 0.5, 1, 2, ... 20 s: spread out, so that a restarted server is not trampled. */
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 20_000;

/** "Reconnect now" is for all presenters of a node at once: this much apart. */
const AT_ONCE_MS = 250;

/** A session that lasted so long counts as a success: the next backoff begins anew. */
const STABLE_MS = 5_000;

/**
 * A `start` that was given up may reach the server late, and replace the session that came after it. So may one that was
 * answered 4102: whether it has claimed the room was not known. A session that is replaced within this time of such a one
 * was probably replaced by ourselves, and not by another page.
 */
const UNANSWERED_MS = 60_000;

/** What a client earns by breaking the protocol. Trying again would earn it again. */
const OUR_FAULT = [1002, 1003, 1007, 1009];

/** The room could not be claimed, or it is not known whether it was. */
const UNCLAIMED = 4102;

/** No code of the protocol: the connection ended without one, or we gave it up. */
const LOST = 1006;

/**
 * Connects, and stays connected until `close()`, or until the server says that it is no use.
 * @param {PresenterOptions} options
 * @returns {import('./presenter.d.ts').Presenter}
 */
export function connectPresenter(options) {
  return new Presenter(options);
}

class Presenter {
  #options;
  /** The status as the page was last told. @type {Status} */
  #status = { state: 'connecting' };
  /** Up to here the handler has taken everything. @type {string | null} */
  #position;
  /** Where events come from. @type {Connection | null} */
  #live = null;
  /** A connection that has no welcome yet. At its welcome it takes over from `#live`. @type {Connection | null} */
  #next = null;
  /** Counts attempts to connect. */
  #attempt = 0;
  /** Tokens of this attempt and of those before it come too late: a connection was begun since. */
  #begun = 0;
  /** Attempts since the last session that lasted. */
  #failures = 0;
  /** Whether the server refused the last token for its age. */
  #expired = false;
  /** What the handler has not taken yet. @type {Waiting[]} */
  #waiting = [];
  #seen = new Set();
  /** The handler's work on `#waiting`. @type {Promise<void> | null} */
  #handling = null;
  /** Too many events wait for the handler: not connected until they are taken. */
  #full = false;
  /** What to acknowledge next: a position that came on `#live`. @type {string | null} */
  #unacked = null;
  /** When a connection was last given up, or answered 4102, after its `start` and before its welcome. */
  #unansweredAt = -Infinity;
  /** How long the next handler is waited for. */
  #patienceMs = HANDLER_TIMEOUT_MS;
  /** Whether the position could not be stored last time: that is reported once, not every second. */
  #saveFails = false;
  #ended = false;
  /** When the server closes `#live` for the age of its token. */
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

  /** Takes no more events, waits for the one in the handler's hands, acknowledges it and closes. */
  async close() {
    // A page that is being unloaded sees only what happens before the first `await`.
    this.#acknowledge();
    this.#end({ state: 'closed' });
    await this.#handling;
    this.#acknowledge();
    this.#disconnect();
  }

  /** Begins a connection beside the live one, if there is one. */
  async #connect() {
    clearTimeout(this.#retryTimer);
    this.#dropNext();
    if (this.#ended || this.#full) return;
    const attempt = ++this.#attempt;
    if (!this.#live) this.#tell({ state: 'connecting' });
    // The page may have closed it in `onStatus`.
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
        // What is left of the time is for the handshake.
        onNotice: (withinMs) => this.#connectIn(Math.random() * 0.75 * withinMs),
        onEnd: this.#lost,
      });
    } catch (error) {
      // An address that is none, or a policy of the page's.
      this.#backOff({ reason: `no connection: ${describe(error)}` });
    }
  }

  /** Where a connection starts, and whether what waits for the handler stays: otherwise it comes again. */
  #place() {
    const last = this.#waiting[this.#waiting.length - 1];
    // Who started before a gap that is still to be told would be told of it twice.
    if (!last || !this.#waiting.some((waiting) => 'resumedAt' in waiting)) {
      return { position: this.#position, keepsWaiting: false };
    }
    const end = 'event' in last ? last.event.position : 'reached' in last ? last.reached : last.resumedAt;
    return { position: end ?? this.#position, keepsWaiting: true };
  }

  /** @param {Connection} connection @param {Welcome} welcome */
  #welcomed = (connection, welcome) => {
    // It may have been set when this connection was not expected to succeed any more.
    clearTimeout(this.#retryTimer);
    this.#live?.drop();
    this.#live = connection;
    this.#next = null;
    this.#unacked = null;
    const last = this.#waiting[this.#waiting.length - 1];
    if (!welcome.recovered) {
      // What came before the gap is still to be taken, and does not come again.
      if (last && 'resumedAt' in last) this.#waiting.pop();
      const before = last && 'resumedAt' in last ? last.resumedAt : null;
      this.#waiting.push({ resumedAt: welcome.position ?? before, from: connection });
    } else if (!connection.keepsWaiting) {
      // Everything that the handler has not taken comes again on this connection.
      this.#waiting = [];
      if (this.#position === null && welcome.position !== null) {
        // Nothing was shown yet, and nothing is missing: a page that comes back is told of what it missed from here on.
        this.#position = this.#unacked = welcome.position;
        this.#acknowledge();
      }
    }
    this.#handle();
    clearTimeout(this.#stableTimer);
    this.#stableTimer = setTimeout(() => (this.#failures = 0), STABLE_MS);
    this.#renewIn(welcome.expiresInSeconds);
    this.#tell({ state: 'live' });
  };

  /** The token of `#live` is good for so long. A server of before says nothing, and never closes for it. @param {unknown} seconds */
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

  /** Shows the server another token, on the connection that goes on meanwhile. Without one the server closes with 4005. */
  #renew = async () => {
    const connection = this.#live;
    const leftMs = this.#tokenEndsAt - Date.now();
    if (this.#ended || !connection || leftMs <= 0) return;
    // Whatever comes of it: a page may fail, or never settle, and a server may not answer.
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
    // Until its successor is welcomed, the old connection goes on; then it is over.
    if (connection !== this.#live || this.#ended) return;
    if (this.#waiting.length + events.length > MAX_WAITING) {
      this.#full = true;
      this.#disconnect();
      this.#tell({ state: 'waiting', reason: 'the handler is behind' });
      return;
    }
    for (const event of events) this.#waiting.push({ event, from: connection });
    this.#handle();
  };

  /** Nothing of the room is missing up to that position. @param {Connection} connection @param {string | null} position */
  #keptAlive = (connection, position) => {
    // While events wait for the handler this one is of no use: there will be another.
    if (connection !== this.#live || this.#ended || !position || this.#waiting.length > 0) return;
    this.#waiting.push({ reached: position, from: connection });
    this.#handle();
  };

  #handle() {
    this.#handling ??= this.#handleAll();
  }

  async #handleAll() {
    // Let `#handling` be set before it is cleared.
    await undefined;
    for (let next; !this.#ended && (next = this.#waiting.shift()); ) {
      if ('resumedAt' in next) {
        const gap = { after: this.#position, resumedAt: next.resumedAt };
        // Before it is told: who connects meanwhile is not told of it again.
        this.#position = next.resumedAt ?? this.#position;
        await this.#call('onGap', () => this.#options.onGap?.(gap));
      } else if ('event' in next) {
        // Read before the handler may change them.
        const { id, position } = next.event;
        if (!this.#seen.has(id)) {
          this.#remember(id);
          await this.#call('onEvent', () => this.#options.onEvent(next.event));
        }
        this.#position = position;
      } else {
        this.#position = next.reached;
      }
      // A position of an earlier connection is unknown to the session that would get its acknowledgement.
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
   * One event that a page cannot show, or has in hand for ever, must not end the broadcast's chat. It counts as taken.
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
      report(new Error(`${name} has not settled within ${HANDLER_TIMEOUT_MS / 1_000} s: the next event comes`));
    }
    this.#patienceMs = isOverdue ? Math.max(HANDLER_TIMEOUT_LEAST_MS, this.#patienceMs / 4) : HANDLER_TIMEOUT_MS;
  }

  /** @param {string} id */
  #remember(id) {
    this.#seen.add(id);
    // A set keeps the order of insertion: the first is the oldest.
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
      // Its successor is underway; very likely it is what this one was closed for.
      if (this.#next?.started) return;
    } else {
      // Of another code the server has nothing left to come late.
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

  /** Connects at once, unless that was tried just now. @param {{ code?: number, reason: string }} why */
  #again(why) {
    if (this.#failures > 0) return this.#backOff(why);
    this.#failures += 1;
    this.#wait(Math.random() * AT_ONCE_MS, why);
  }

  /** @param {{ code?: number, reason: string }} why */
  #backOff(why) {
    const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Browsers know best when there is no network, and say when it is back. But a machine without one may still reach
    // itself, so it is tried all the same, now and then.
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

  /** The network is back. What was connected before may be dead and not know it: a new connection tells. */
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

/** The position that was stored, if it can be one. @param {PresenterOptions['storage']} storage */
function stored(storage) {
  if (!storage) return null;
  try {
    const position = storage.load() ?? null;
    if (position === null || position === '') return null;
    if (typeof position === 'string' && position.length <= MAX_POSITION_CHARACTERS) return position;
    report(new Error('what storage.load gave is no position'));
  } catch (error) {
    report(error);
  }
  return null;
}

/** @param {unknown} given */
function tokenOf(given) {
  const token = typeof given === 'string' ? given.trim() : '';
  // Sent, it would be refused for good.
  if (!TOKEN.test(token)) throw new Error('what getToken gave is no token');
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
    return 'an error that cannot be read';
  }
}

/** As an uncaught error, where the engine knows how. @param {unknown} error */
function report(error) {
  try {
    if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
    else globalThis.console?.error(error);
  } catch {
    // There is nobody left to tell.
  }
}

/** One socket, from the attempt to the end. It knows frames and silence; what follows from them is the presenter's. */
class Connection {
  #socket;
  #owner;
  #silenceMs = WELCOME_TIMEOUT_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** Whether `start` was sent: from then on it is the server's newest session. */
  started = false;
  /** Whether it started after what waits for the handler. */
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
      // An engine whose buffer is full, say. The silence that follows ends the connection.
      report(error);
    }
  }

  /** Closes it, and is not heard of again. */
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
      // To pass over it could be to pass over events. On another connection they come again.
      return this.#end(LOST, 'a frame was not JSON');
    }
    if (typeof frame?.type !== 'string' || (frame.type === 'events' && !Array.isArray(frame.events))) {
      return this.#end(LOST, 'a frame was not one of chat.v1');
    }
    switch (frame.type) {
      case 'welcome':
        // The server breaks the silence every so often. Twice as long without a word: the connection is dead.
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
        // Fatal ones are followed by a close, whose code says what to do.
        return console.warn(`chat.v1: ${frame.code}: ${frame.message}`);
    }
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#end(LOST, 'nothing was heard'), this.#silenceMs);
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    this.drop();
    this.#owner.onEnd(this, code, reason);
  }
}
