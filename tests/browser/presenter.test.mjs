// What presenter.js does about time, close codes and slow handlers, against a socket that is the test's:
// `node --test tests/browser/*.test.mjs`. What it does with a real server is tested in a real browser, in mod.rs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { connectPresenter } from '../../delivery/js/presenter.js';
import { createRelay } from '../../delivery/js/relay.js';

class Socket {
  static OPEN = 1;
  static all = [];
  readyState = 0;
  said = [];
  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    Socket.all.push(this);
  }
  send(text) {
    this.said.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  // The server's side.
  open() {
    this.readyState = 1;
    this.onopen();
    return this;
  }
  hear(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
    return this;
  }
  welcome(more = {}) {
    return this.hear({ type: 'welcome', session: 's', position: null, recovered: true, keepaliveSeconds: 20, ...more });
  }
  events(...numbers) {
    const events = numbers.map((number) => ({ position: `p${number}`, id: `id${number}`, type: 'message.posted', number }));
    return this.hear({ type: 'events', position: events.at(-1).position, events });
  }
  end(code, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

let window;
let presenter;

/** Lets promises settle; the clock stands. */
const settle = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
};

const pass = async (ms) => {
  mock.timers.tick(ms);
  await settle();
};

const newest = () => Socket.all.at(-1);

/** A presenter's page; what it was handed and told is collected. */
async function page(options = {}) {
  const seen = { numbers: [], statuses: [], gaps: [], hints: [] };
  presenter = connectPresenter({
    url: 'wss://example/v1/presenter',
    getToken: (hint) => (seen.hints.push(hint), 'token'),
    onEvent: (event) => void seen.numbers.push(event.number),
    onStatus: (status) => void seen.statuses.push(status),
    onGap: (gap) => void seen.gaps.push({ ...gap, at: seen.numbers.length }),
    ...options,
  });
  await settle();
  return seen;
}

beforeEach(() => {
  Socket.all = [];
  window = new EventTarget();
  globalThis.WebSocket = Socket;
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  globalThis.reportError = mock.fn();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 0.5);
});

afterEach(async () => {
  presenter.close();
  mock.timers.reset();
  mock.restoreAll();
});

test('it starts with its token, hands events out in order and acknowledges once a second', async () => {
  const seen = await page();
  newest().open().welcome().events(1, 2).events(3);
  await settle();
  assert.deepEqual(newest().said, [{ type: 'start', token: 'token' }]);
  assert.deepEqual(seen.numbers, [1, 2, 3]);
  await pass(1_000);
  assert.deepEqual(newest().said.slice(1), [{ type: 'ack', position: 'p3' }]);
});

test('the place of the first welcome is kept and acknowledged at once, and a page that drops comes back with it', async () => {
  const saved = [];
  await page({ storage: { load: () => null, save: (position) => saved.push(position) } });
  newest().open().welcome({ position: 'p0' });
  assert.deepEqual([saved, presenter.position], [['p0'], 'p0']);
  assert.deepEqual(newest().said.slice(1), [{ type: 'ack', position: 'p0' }]);
  newest().end(1006);
  await pass(500);
  assert.equal(newest().open().said[0].position, 'p0');
  // Of a session that goes on after its own position nothing is known that is newer.
  newest().welcome({ position: 'p0' });
  assert.equal(newest().said.length, 1);
});

test('it resumes after the last event that was taken, and what comes again is dropped', async () => {
  const seen = await page();
  newest().open().welcome().events(1, 2);
  await settle();
  newest().end(1006);
  await pass(500);
  newest().open();
  assert.equal(newest().said[0].position, 'p2');
  newest().welcome({ position: 'p2' }).events(2, 3);
  await settle();
  assert.deepEqual(seen.numbers, [1, 2, 3]);
});

test('the next event comes when the handler has taken the one before, and only then is it acknowledged', async () => {
  const taking = [];
  await page({ onEvent: (event) => new Promise((resolve) => taking.push({ event, resolve })) });
  newest().open().welcome().events(1, 2);
  await pass(5_000);
  assert.deepEqual(taking.map(({ event }) => event.number), [1]);
  assert.equal(newest().said.length, 1);
  taking[0].resolve();
  await settle();
  await pass(1_000);
  assert.deepEqual(taking.map(({ event }) => event.number), [1, 2]);
  assert.deepEqual(newest().said[1], { type: 'ack', position: 'p1' });
});

test('an error of the handler is reported, and the next event comes', async () => {
  const numbers = [];
  await page({
    onEvent: ({ number }) => {
      numbers.push(number);
      if (number === 1) throw new Error('cannot be shown');
    },
  });
  newest().open().welcome().events(1, 2);
  await settle();
  assert.deepEqual(numbers, [1, 2]);
  assert.equal(reportError.mock.callCount(), 1);
});

test('what waits for a slow handler comes again on the next connection, once', async () => {
  const numbers = [];
  let take;
  await page({ onEvent: ({ number }) => (numbers.push(number), new Promise((resolve) => (take = resolve))) });
  newest().open().welcome().events(1, 2, 3);
  await settle();
  newest().end(1006);
  await pass(500);
  newest().open().welcome().events(1, 2, 3);
  for (let turn = 0; turn < 5; turn++) {
    take();
    await settle();
  }
  assert.deepEqual(numbers, [1, 2, 3]);
});

test('too many events for the handler end the connection, until they are taken', async () => {
  const taking = [];
  await page({ onEvent: () => (taking.length < 1 ? new Promise((resolve) => taking.push(resolve)) : undefined) });
  const first = newest().open().welcome();
  for (let frame = 0; frame < 11; frame++) {
    first.events(...Array.from({ length: 1_000 }, (_, index) => frame * 1_000 + index));
  }
  await settle();
  assert.equal(first.readyState, 3);
  assert.equal(presenter.status.state, 'waiting');
  taking[0]();
  for (let turn = 0; turn < 2_000; turn++) await settle();
  assert.equal(Socket.all.length, 2);
  newest().open();
  assert.equal(newest().said[0].position, 'p9999');
});

for (const code of [4000, 4001, 4002, 4003, 4004, 4099, 1002, 1003, 1007, 1009]) {
  test(`it stops after ${code}, and says why`, async () => {
    await page();
    newest().open().welcome().end(code, 'why');
    await pass(100_000);
    assert.equal(Socket.all.length, 1);
    assert.deepEqual(presenter.status, { state: 'stopped', code, reason: 'why' });
  });
}

test('an expired token is got anew at once, and not in a hot loop', async () => {
  const seen = await page();
  newest().open().end(4005);
  await pass(250);
  assert.deepEqual(seen.hints, [{ expired: false }, { expired: true }]);
  newest().open().end(4005);
  await pass(250);
  assert.equal(Socket.all.length, 2);
  await pass(500);
  assert.equal(Socket.all.length, 3);
});

test('another token is shown on the same connection before the first one expires', async () => {
  let number = 0;
  const hints = [];
  const seen = await page({ getToken: (hint) => (hints.push(hint), `token${++number}`) });
  newest().open().welcome({ expiresInSeconds: 100, keepaliveSeconds: 1_000 }).events(1);
  await pass(82_000);
  assert.deepEqual(newest().said.filter(({ type }) => type === 'token'), []);
  await pass(1_000);
  assert.deepEqual(newest().said.at(-1), { type: 'token', token: 'token2' });
  assert.deepEqual(hints, [{ expired: false }, { expired: true }]);
  newest().hear({ type: 'renewed', expiresInSeconds: 1_000 }).events(2);
  await pass(820_000 - 1_000);
  assert.equal(number, 2, 'the answer counts, not the old time');
  await pass(6_000);
  assert.deepEqual(newest().said.at(-1), { type: 'token', token: 'token3' });
  assert.deepEqual([seen.numbers, Socket.all.length], [[1, 2], 1]);
});

test('a token that cannot be got or is not taken is asked for again, and not in a hot loop', async () => {
  let asked = 0;
  await page({
    getToken: ({ expired }) => {
      if (expired && ++asked === 2) throw new Error('no network');
      return expired && asked === 3 ? new Promise(() => {}) : 'token';
    },
  });
  newest().open().welcome({ expiresInSeconds: 80, keepaliveSeconds: 1_000 });
  // 66, 73, 76.5, 78.25, 79.25 s: then it expires.
  for (let second = 0; second < 80; second++) await pass(1_000);
  assert.ok(asked >= 4 && asked <= 6, `${asked}`);
  assert.deepEqual(newest().said.filter(({ type }) => type === 'token').length, asked - 2);
  assert.equal(globalThis.reportError.mock.callCount(), 1);
  newest().end(4005);
  await pass(250);
  assert.equal(Socket.all.length, 2);
});

test('no token is renewed that does not expire, or on a connection that is gone', async () => {
  const seen = await page();
  for (const expiresInSeconds of [undefined, null, 'x', 0, -1, Infinity, 4_000_000_000]) {
    newest().open().welcome({ expiresInSeconds, keepaliveSeconds: 1_000 });
    await pass(10_000);
    assert.equal(newest().said.filter(({ type }) => type === 'token').length, 0, `${expiresInSeconds}`);
    newest().end(4200);
    await pass(500);
  }
  newest().open().welcome({ expiresInSeconds: 10 });
  presenter.close();
  await pass(20_000);
  assert.ok(seen.hints.every(({ expired }) => !expired));
});

for (const code of [1006, 1001, 1011, 4100, 4199, 4300]) {
  test(`it backs off after ${code}, with jitter, up to 20 s`, async () => {
    const seen = await page();
    for (let attempt = 0; attempt < 8; attempt++) {
      newest().end(code);
      await pass(10_000);
    }
    const delays = seen.statuses.filter(({ state }) => state === 'waiting').map(({ retryInMs }) => retryInMs);
    assert.deepEqual(delays, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });
}

test('it reconnects at once after 4200 to 4299, and backs off if that does not last', async () => {
  const seen = await page();
  for (const code of [4200, 4201]) {
    newest().open().welcome().end(code);
    await pass(1_000);
  }
  newest().open().welcome();
  await pass(6_000);
  newest().end(4299);
  const delays = seen.statuses.filter(({ state }) => state === 'waiting').map(({ retryInMs }) => retryInMs);
  assert.deepEqual(delays, [125, 500, 125]);
});

test('a connection that is silent for twice the keepalive is dead', async () => {
  await page();
  newest().open().welcome({ keepaliveSeconds: 3 });
  for (let turn = 0; turn < 5; turn++) {
    await pass(5_999);
    newest().hear({ type: 'keepalive' });
  }
  assert.equal(presenter.status.state, 'live');
  await pass(6_000);
  assert.equal(presenter.status.reason, 'received nothing in time');
});

test('a keepalive moves the position once everything before it is taken, and is acknowledged', async () => {
  let take;
  const saved = [];
  await page({
    onEvent: () => new Promise((resolve) => (take = resolve)),
    storage: { load: () => null, save: (position) => saved.push(position) },
  });
  newest().open().welcome({ position: 'p0' }).events(1);
  await settle();
  // More than one may come while the handler is busy.
  for (const position of ['k1', 'k2', 'k3']) newest().hear({ type: 'keepalive', position });
  await pass(1_000);
  assert.equal(presenter.position, 'p0');
  take();
  await settle();
  assert.equal(presenter.position, 'k1');
  newest().hear({ type: 'keepalive', position: 'k4' }).hear({ type: 'keepalive', position: null });
  await settle();
  await pass(1_000);
  assert.deepEqual([presenter.position, saved.at(-1)], ['k4', 'k4']);
  assert.deepEqual(newest().said.at(-1), { type: 'ack', position: 'k4' });
  newest().end(4200);
  await pass(1_000);
  assert.equal(newest().open().said[0].position, 'k4');
});

test('after a notice the second connection stands before the first ends, and nothing is lost or repeated', async () => {
  const seen = await page();
  const first = newest().open().welcome().events(1);
  await settle();
  first.hear({ type: 'reconnect', withinMs: 2_000 });
  await pass(1_000);
  const second = newest();
  assert.notEqual(second, first);
  first.events(2);
  await settle();
  second.open();
  first.events(3).end(4002);
  await settle();
  assert.equal(presenter.status.state, 'live');
  second.welcome({ position: 'p2' }).events(3, 4);
  await settle();
  assert.deepEqual(seen.numbers, [1, 2, 3, 4]);
  assert.deepEqual(seen.statuses.map(({ state }) => state), ['connecting', 'live', 'live']);
});

test('a second connection that fails is tried again while the first goes on', async () => {
  const seen = await page();
  const first = newest().open().welcome();
  first.hear({ type: 'reconnect', withinMs: 2_000 });
  await pass(1_000);
  newest().end(1006);
  first.events(1);
  await pass(500);
  assert.equal(Socket.all.length, 3);
  assert.deepEqual(seen.numbers, [1]);
  assert.equal(presenter.status.state, 'live');
});

test('a gap is told in its place, after what came before it', async () => {
  const seen = await page();
  newest().open().welcome().events(1);
  await settle();
  newest().end(1006);
  await pass(500);
  newest().open().welcome({ recovered: false, position: 'p7' }).events(8);
  await settle();
  assert.deepEqual(seen.gaps, [{ after: 'p1', resumedAt: 'p7', at: 1 }]);
  assert.deepEqual(seen.numbers, [1, 8]);
});

test('when the network is back it connects at once, beside what may be dead', async () => {
  await page();
  const first = newest().open().welcome();
  window.dispatchEvent(new Event('online'));
  await settle();
  newest().open().welcome();
  assert.equal(first.readyState, 3);
  newest().end(1006);
  newest().end(1006);
  window.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(Socket.all.length, 3);
});

test('a page replaced by its own lost start tries again', async () => {
  await page();
  // The start of the second attempt gets no answer; the third is welcomed, and then replaced by the second.
  newest().open().welcome().end(1006);
  await pass(500);
  newest().open();
  await pass(12_000);
  await pass(1_000);
  newest().open().welcome().end(4002, 'replaced');
  assert.equal(presenter.status.state, 'waiting');
});

test('a page replaced by its own second connection, of which nobody knew whether it had claimed the room, tries again', async () => {
  await page();
  const first = newest().open().welcome();
  window.dispatchEvent(new Event('online'));
  await settle();
  newest().open().end(4102, 'the room could not be claimed');
  assert.equal(presenter.status.state, 'live');
  first.end(4002, 'replaced');
  assert.equal(presenter.status.state, 'waiting');
  await pass(1_000);
  newest().open().welcome();
  assert.equal(presenter.status.state, 'live');
  // Long after, it is another page.
  for (let third = 0; third < 3; third++) {
    await pass(20_000);
    newest().hear({ type: 'keepalive', position: null });
  }
  newest().end(4002, 'replaced');
  assert.equal(presenter.status.state, 'stopped');
});

test('a getter that fails is asked again', async () => {
  let asked = 0;
  await page({
    getToken: async () => {
      if (++asked < 3) throw new Error('the auth server is away');
      return 'token';
    },
  });
  await pass(500);
  await pass(1_000);
  assert.equal(asked, 3);
  assert.equal(Socket.all.length, 1);
});

test('closing acknowledges what was taken, and nothing more comes', async () => {
  const seen = await page();
  const socket = newest().open().welcome().events(1);
  await settle();
  const closed = presenter.close();
  assert.deepEqual(socket.said.at(-1), { type: 'ack', position: 'p1' });
  socket.events(2);
  await closed;
  await pass(100_000);
  assert.deepEqual(seen.numbers, [1]);
  assert.equal(socket.readyState, 3);
  assert.equal(Socket.all.length, 1);
  assert.equal(presenter.status.state, 'closed');
});

test('a stored position is where it begins, and it is kept up to date', async () => {
  let stored = 'p5';
  await page({ storage: { load: () => stored, save: (position) => (stored = position) } });
  newest().open();
  assert.equal(newest().said[0].position, 'p5');
  newest().welcome({ position: 'p5' }).events(6);
  await settle();
  await pass(1_000);
  assert.equal(stored, 'p6');
});

// Whatever a page's callback or an engine does, the client goes on, and says so.

let seenByBroken = [];
const never = () => new Promise(() => {});
const fails = () => {
  throw new Error('the page is broken');
};

test('a token that does not come is asked for again, and a late one is as good as any', async () => {
  const answers = [];
  const seen = await page({ getToken: () => new Promise((resolve) => answers.push(resolve)) });
  await pass(29_999);
  assert.equal(answers.length, 1);
  await pass(1);
  assert.deepEqual(seen.statuses.at(-1), { state: 'waiting', retryInMs: 250, reason: 'getToken has not settled' });
  await pass(250);
  assert.equal(answers.length, 2);
  // The first answer comes after all, the second never, and a third is not asked for.
  answers[0]('late');
  await settle();
  newest().open().welcome();
  assert.deepEqual(newest().said, [{ type: 'start', token: 'late' }]);
  answers[1]('later');
  await pass(10_000);
  newest().hear({ type: 'keepalive' });
  await pass(30_000);
  assert.deepEqual([Socket.all.length, answers.length, presenter.status.state], [1, 2, 'live']);
});

test('a getter that is late and then fails is not counted twice', async () => {
  const failing = [];
  const seen = await page({ getToken: () => new Promise((_, reject) => failing.push(reject)) });
  await pass(30_000);
  failing[0](new Error('late'));
  await pass(250);
  assert.deepEqual(seen.statuses.map(({ state }) => state), ['connecting', 'waiting', 'connecting']);
});

for (const [what, given] of [
  ["a proxy's error page", '<html>\n<head><title>502 Bad Gateway</title></head></html>'],
  ['an error in JSON', '{"status":401,"message":"token Error"}'],
  ['an empty text', ''],
  ['a response', { ok: true }],
  ['nothing', undefined],
]) {
  test(`${what} is not sent as a token, which would be refused for good`, async () => {
    let given_ = given;
    const seen = await page({ getToken: () => given_ });
    assert.equal(Socket.all.length, 0);
    assert.deepEqual(seen.statuses.at(-1), {
      state: 'waiting',
      retryInMs: 250,
      reason: 'no token: Error: getToken did not return a token',
    });
    given_ = ' eyJhbGciOi.J9-_.x=\n';
    await pass(250);
    assert.deepEqual(newest().open().said, [{ type: 'start', token: 'eyJhbGciOi.J9-_.x=' }]);
  });
}

for (const [what, broken] of [
  ['onStatus throws', { onStatus: fails }],
  ['onStatus rejects', { onStatus: async () => fails() }],
  ['onEvent throws', { onEvent: (event) => (seenByBroken.push(event.number), fails()) }],
  ['onEvent rejects', { onEvent: async (event) => (seenByBroken.push(event.number), fails()) }],
  ['onGap throws', { onGap: fails }],
  ['storage throws', { storage: { load: fails, save: fails } }],
  ['storage.save rejects', { storage: { load: () => null, save: async () => fails() } }],
  ['storage has no functions', { storage: {} }],
  ['storage gives no text', { storage: { load: () => ({}), save: () => {} } }],
  ['storage gives a promise', { storage: { load: async () => 'p1', save: () => {} } }],
]) {
  for (const engine of ['has reportError', 'has none', 'has one that throws']) {
    test(`${what} where the engine ${engine}: every event comes, is acknowledged, and close closes`, async () => {
      globalThis.reportError = engine === 'has reportError' ? mock.fn() : engine === 'has none' ? undefined : fails;
      const told = mock.method(console, 'error', () => {});
      seenByBroken = [];
      const seen = await page({ ...broken });
      const numbers = () => (broken.onEvent ? seenByBroken : seen.numbers);
      newest().open().welcome({ position: 'p0', recovered: !broken.onGap }).events(1, 2);
      await settle();
      await pass(1_000);
      assert.deepEqual(numbers(), [1, 2]);
      assert.deepEqual(newest().said.at(-1), { type: 'ack', position: 'p2' });
      newest().end(1006);
      await pass(1_000);
      assert.deepEqual(newest().open().said, [{ type: 'start', token: 'token', position: 'p2' }]);
      newest().welcome({ position: 'p2' }).events(3);
      await settle();
      await presenter.close();
      assert.deepEqual(numbers(), [1, 2, 3]);
      assert.deepEqual(newest().said.at(-1), { type: 'ack', position: 'p3' });
      await pass(100_000);
      assert.deepEqual([newest().readyState, Socket.all.length, presenter.status.state], [3, 2, 'closed']);
      if (engine === 'has reportError') assert(reportError.mock.callCount() > 0, 'nobody was told');
      if (engine === 'has none') assert(told.mock.callCount() > 0, 'nobody was told');
    });
  }
}

test('a store that is full is reported once, and again when it was not meanwhile', async () => {
  let full = true;
  const saved = [];
  await page({ storage: { load: () => null, save: (position) => (full ? fails() : saved.push(position)) } });
  newest().open().welcome({ position: 'p0' });
  for (const [number, isFull, reports] of [[1, true, 1], [2, true, 1], [3, false, 1], [4, true, 2]]) {
    full = isFull;
    newest().events(number);
    await settle();
    await pass(1_000);
    assert.equal(reportError.mock.callCount(), reports);
  }
  assert.deepEqual(saved, ['p3']);
});

test('an engine that cannot make a socket, or cannot send, is tried again', async () => {
  globalThis.WebSocket = class extends Socket {
    constructor() {
      fails();
    }
  };
  const seen = await page();
  assert.equal(seen.statuses.at(-1).reason, 'no connection: Error: the page is broken');
  globalThis.WebSocket = class extends Socket {
    send() {
      fails();
    }
  };
  globalThis.WebSocket.OPEN = 1;
  await pass(250);
  newest().open();
  globalThis.WebSocket = Socket;
  // Nothing answers what was not sent.
  await pass(12_000);
  await pass(1_000);
  newest().open().welcome().events(1);
  await settle();
  assert.deepEqual([seen.numbers, Socket.all.length], [[1], 2]);
});

test('an error that cannot be read is one all the same', async () => {
  const seen = await page({
    getToken: () => {
      throw Object.create(null);
    },
  });
  assert.equal(seen.statuses.at(-1).reason, 'no token: an unprintable error');
});

test('a handler that never settles holds up the next event for half a minute, and that is reported', async () => {
  const numbers = [];
  await page({ onEvent: ({ number }) => (numbers.push(number), number === 1 ? never() : undefined) });
  newest().open().welcome().events(1, 2);
  await settle();
  await pass(10_000);
  newest().hear({ type: 'keepalive' });
  await pass(19_999);
  assert.deepEqual(numbers, [1]);
  newest().hear({ type: 'keepalive' });
  await pass(1);
  assert.deepEqual(numbers, [1, 2]);
  assert.match(reportError.mock.calls[0].arguments[0].message, /onEvent has not settled within 30 s/);
});

test('a handler that always hangs is soon waited for no longer than it takes to see that, and reported once', async () => {
  const numbers = [];
  let hangs = true;
  await page({ onEvent: ({ number }) => (numbers.push(number), hangs ? never() : Promise.resolve()) });
  const socket = newest().open().welcome().events(1, 2, 3, 4, 5, 6, 7);
  await settle();
  for (const ms of [30_000, 7_500, 1_875, 468.75, 117.1875]) {
    await pass(ms);
    socket.hear({ type: 'keepalive' });
  }
  assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6]);
  hangs = false;
  await pass(100);
  assert.deepEqual([numbers, reportError.mock.callCount()], [[1, 2, 3, 4, 5, 6, 7], 1]);
  // One that settles has all the time again.
  hangs = true;
  socket.events(8, 9);
  await settle();
  await pass(29_999);
  assert.equal(numbers.at(-1), 8);
});

test('closing does not wait for a handler for ever, not even for the one that closes', async () => {
  await page({ onEvent: () => presenter.close() });
  const socket = newest().open().welcome().events(1);
  await settle();
  await pass(30_000);
  assert.deepEqual([socket.readyState, presenter.status.state], [3, 'closed']);
});

test('a page that closes when it is told its status stays closed', async () => {
  await page({ onStatus: ({ state }) => state === 'waiting' && presenter.close() });
  newest().end(1006);
  await pass(100_000);
  assert.deepEqual([Socket.all.length, presenter.status.state], [1, 'closed']);
});

test('what a handler does to an event does not move the position', async () => {
  const gaps = [];
  await page({
    onEvent: (event) => {
      for (const member of Object.keys(event)) delete event[member];
    },
    onGap: (gap) => (gaps.push({ ...gap }), (gap.resumedAt = 'elsewhere')),
  });
  newest().open().welcome({ recovered: false, position: 'p0' }).events(1, 2, 2);
  await settle();
  await pass(1_000);
  assert.deepEqual([presenter.position, newest().said.at(-1)], ['p2', { type: 'ack', position: 'p2' }]);
  assert.deepEqual(gaps, [{ after: null, resumedAt: 'p0' }]);
});

test('a retry that was due does not replace the session that began before it', async () => {
  await page();
  const first = newest().open().welcome();
  window.dispatchEvent(new Event('online'));
  await settle();
  // The old one ends while the handshake of the new one is underway: a retry is planned, and then not needed.
  first.end(1006);
  newest().open().welcome().events(1);
  await pass(19_000);
  assert.deepEqual([Socket.all.length, presenter.status.state], [2, 'live']);
});

test('one gap is told once, however often the connection breaks before it is told', async () => {
  let take;
  const numbers = [];
  const seen = await page({
    onEvent: ({ number }) => (numbers.push(number), number === 1 ? new Promise((resolve) => (take = resolve)) : undefined),
  });
  newest().open().welcome({ position: 'p0' }).events(1, 2);
  await settle();
  // While the handler has the first event in hand, the second waits, and with it a gap.
  newest().end(1006);
  await pass(500);
  newest().open().welcome({ recovered: false, position: 'p7' });
  newest().end(1006);
  await pass(1_000);
  // Nobody has told the page yet, but it is known here: the next one starts after it.
  assert.equal(newest().open().said[0].position, 'p7');
  newest().welcome({ position: 'p7' }).events(8);
  newest().end(1006);
  await pass(1_000);
  assert.equal(newest().open().said[0].position, 'p8');
  newest().welcome({ position: 'p8' }).events(9);
  await settle();
  take();
  await settle();
  assert.deepEqual([numbers, seen.gaps], [[1, 2, 8, 9], [{ after: 'p2', resumedAt: 'p7', at: 0 }]]);
  await pass(1_000);
  assert.deepEqual(newest().said.at(-1), { type: 'ack', position: 'p9' });
});

test('a gap that has grown before it was told is one gap, and one that came after other events is another', async () => {
  for (const [between, expected] of [
    [[], [{ after: 'p1', resumedAt: 'p20' }]],
    [[11], [{ after: 'p1', resumedAt: 'p10' }, { after: 'p11', resumedAt: 'p20' }]],
  ]) {
    Socket.all = [];
    let take;
    const gaps = [];
    await page({
      onEvent: ({ number }) => (number === 1 ? new Promise((resolve) => (take = resolve)) : undefined),
      onGap: (gap) => void gaps.push(gap),
    });
    newest().open().welcome({ position: 'p0' }).events(1);
    await settle();
    newest().end(1006);
    await pass(500);
    newest().open().welcome({ recovered: false, position: 'p10' });
    if (between.length > 0) newest().events(...between);
    newest().end(1006);
    await pass(1_000);
    newest().open().welcome({ recovered: false, position: 'p20' }).events(21);
    take();
    await settle();
    assert.deepEqual([gaps, presenter.position], [expected, 'p21']);
    await presenter.close();
  }
});

test('a gap that the page is being told of is not told again, and is acknowledged', async () => {
  let told;
  const gaps = [];
  const saved = [];
  await page({
    onGap: (gap) => (gaps.push(gap), new Promise((resolve) => (told = resolve))),
    storage: { load: () => 'p1', save: (position) => saved.push(position) },
  });
  newest().open().welcome({ recovered: false, position: 'p7' });
  await settle();
  newest().end(1006);
  await pass(500);
  assert.equal(newest().open().said[0].position, 'p7');
  newest().welcome({ recovered: true, position: 'p7' });
  told();
  await settle();
  newest().end(1006);
  await pass(1_000);
  newest().open().welcome({ recovered: false, position: 'p9' });
  await settle();
  told();
  await settle();
  await pass(1_000);
  assert.deepEqual(gaps, [{ after: 'p1', resumedAt: 'p7' }, { after: 'p7', resumedAt: 'p9' }]);
  assert.deepEqual([newest().said.at(-1), saved.at(-1)], [{ type: 'ack', position: 'p9' }, 'p9']);
});

for (const frame of ['null', '7', '[]', '{}', '{"type":7}', '{"type":"events"}', '{"type":"events","events":7}', '{']) {
  test(`a frame that is none of the protocol ends the connection, and what it held comes on the next: ${frame}`, async () => {
    const seen = await page();
    newest().open().welcome();
    newest().onmessage({ data: frame });
    assert.equal(presenter.status.state, 'waiting');
    await pass(500);
    newest().open().welcome().events(1);
    await settle();
    assert.deepEqual(seen.numbers, [1]);
  });
}

test('a welcome that does not say how often the silence is broken does not end the connection', async () => {
  for (const keepaliveSeconds of [undefined, null, 'x', 0, -1]) {
    await page();
    newest().open().welcome({ keepaliveSeconds });
    await pass(39_999);
    assert.equal(presenter.status.state, 'live');
    await presenter.close();
  }
});

test('users whose ids are too large for a number of JavaScript stay apart', async () => {
  const events = [];
  await page({ onEvent: (event) => void events.push(event) });
  const text = '\\"idx\\":9007199254740993 \\\\';
  newest().open().welcome().onmessage({
    data: `{"type":"events","position":"p4","events":[
      {"position":"p1","id":"1","type":"message.posted","user":{"idx":9007199254740992,"nickname":"n"},"text":"${text}"},
      {"position":"p2","id":"2","type":"message.posted","user":{"idx": 9007199254740993,"nickname":"n"},"text":"x"},
      {"position":"p3","id":"3","type":"user.erased","user":9007199254740993,"by":{"idx":9223372036854775807}},
      {"position":"p4","id":"4","type":"user.erased","user":9007199254740991}]}`,
  });
  await settle();
  assert.deepEqual(
    events.map(({ user }) => user.idx ?? user),
    ['9007199254740992', '9007199254740993', '9007199254740993', 9007199254740991],
  );
  assert.equal(events[0].text, '"idx":9007199254740993 \\');
  assert.equal(events[2].by.idx, '9223372036854775807');
});

test("the documentation's first example asks again after an error page, and stores a position a room", async () => {
  const documentation = readFileSync(new URL('../../docs/reference/presenter-js.md', import.meta.url), 'utf8');
  const example = documentation.split('```js\n')[1].split('```')[0].replace(/^import .*$/gm, '');
  const stored = new Map();
  const around = {
    connectPresenter: (options) => (presenter = connectPresenter(options)),
    createRelay,
    fetch: async () => ({ ok: false, status: 502, text: async () => 'Bad-Gateway' }),
    sessionStorage: { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) },
    peer: { createDataChannel: () => Object.assign(new EventTarget(), { readyState: 'connecting', close() {} }) },
    show: () => {},
    showStatus: () => {},
    room: 42,
  };
  new Function(...Object.keys(around), example)(...Object.values(around));
  await settle();
  assert.deepEqual([Socket.all.length, presenter.status.reason], [0, 'no token: Error: /token: 502']);
  await presenter.close();
  stored.set('chat/42', 'p1').set('chat/43', 'p9');
  new Function(...Object.keys(around), example)(
    ...Object.values({ ...around, fetch: async () => ({ ok: true, text: async () => 'token' }) }),
  );
  await settle();
  assert.deepEqual(newest().open().said, [{ type: 'start', token: 'token', position: 'p1' }]);
  newest().welcome({ position: 'p1' }).events(2);
  await settle();
  await pass(1_000);
  assert.deepEqual([...stored], [['chat/42', 'p2'], ['chat/43', 'p9']]);
});
