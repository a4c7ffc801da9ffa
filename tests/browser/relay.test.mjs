// What relay.js and viewer.js do about slow, late and lossy channels, over a channel that is the test's:
// `node --test tests/browser/*.test.mjs`. What they do over real peer connections is tested in a real browser, in mod.rs.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { createRelay, forViewers } from '../../delivery/js/relay.js';
import { receive } from '../../delivery/js/viewer.js';

/** One end of a channel. What is sent waits in `sent` until the test carries it over. */
class Channel extends EventTarget {
  readyState = 'open';
  bufferedAmountLowThreshold = 0;
  sent = [];
  get bufferedAmount() {
    return this.sent.reduce((sum, data) => sum + data.length, 0);
  }
  send(data) {
    if (this.readyState !== 'open') throw new Error('closed');
    this.sent.push(data);
  }
  close() {
    this.readyState = 'closed';
  }
}

beforeEach(() => {
  globalThis.reportError = mock.fn();
});

afterEach(() => {
  mock.timers.reset();
});

const reports = () => reportError.mock.calls.map(({ arguments: [error] }) => error.message);

const hand = (channel, data) => {
  const message = new Event('message');
  message.data = typeof data === 'string' ? data : data.buffer;
  channel.dispatchEvent(message);
};

/** Carries everything over, both ways, except what `lose` picks; then the presenter's end says that it is empty. */
function carry(ends, lose = () => false) {
  while (ends[0].sent.length + ends[1].sent.length > 0) {
    for (const [from, to] of [ends, [ends[1], ends[0]]]) {
      for (const data of from.sent.splice(0)) if (!lose(data)) hand(to, data);
    }
    ends[0].dispatchEvent(new Event('bufferedamountlow'));
  }
}

/** A viewer of the relay; what it takes is collected. */
function viewer(relay, ends = [new Channel(), new Channel()]) {
  // `told` is both in their order: numbers of events, and gaps as texts.
  const seen = { ids: [], events: [], gaps: [], told: [] };
  seen.ends = ends;
  relay.add(seen.ends[0]);
  seen.viewer = receive(seen.ends[1], {
    onEvent: (event) => (seen.ids.push(Number(event.id)), seen.events.push(event), seen.told.push(Number(event.id))),
    onGap: ({ missed }) => (seen.gaps.push(missed), seen.told.push(`${missed} missing`)),
  });
  seen.reconnect = (to) => {
    seen.ends[0].close();
    seen.ends = [new Channel(), new Channel()];
    to.add(seen.ends[0]);
    seen.viewer.attach(seen.ends[1]);
  };
  return seen;
}

const send = (relay, from, to, more = {}) => {
  for (let id = from; id <= to; id++) relay.send({ id: `${id}`, type: 'message.posted', text: `text ${id}`, ...more });
};

/** Carries one way alone. */
const carryTo = (channel, sent) => sent.splice(0).forEach((data) => hand(channel, data));

/** Every event from the first on came once and in order, or a gap says how many did not. Returns where it is. */
function isWhole(told, before) {
  let at = before;
  for (const next of told) {
    if (typeof next === 'string') at += Number.parseInt(next);
    else assert.equal(next, ++at, `${told}`);
  }
  return at;
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('every viewer gets every event once and in order, a late one from some events back', () => {
  const relay = createRelay({ history: 5 });
  const early = viewer(relay);
  carry(early.ends);
  send(relay, 1, 20);
  const late = viewer(relay);
  carry(late.ends);
  send(relay, 21, 30);
  carry(early.ends);
  carry(late.ends);
  assert.deepEqual(early.ids, range(1, 30));
  assert.deepEqual(late.ids, range(16, 30));
});

test('a slow channel holds a bounded amount, and the viewer is told how many it missed', () => {
  const relay = createRelay({ maxEvents: 100 });
  const [slow, fast] = [viewer(relay), viewer(relay)];
  carry(slow.ends);
  for (let id = 1; id <= 10_000; id++) {
    send(relay, id, id, { text: 'x'.repeat(1_000) });
    carry(fast.ends);
    assert(slow.ends[0].bufferedAmount < 300_000);
  }
  carry(slow.ends);
  assert.deepEqual(fast.ids, range(1, 10_000));
  assert.deepEqual(slow.ids.slice(-100), range(9_901, 10_000));
  assert.equal(slow.ids.length + slow.gaps[0], 10_000);
  assert.deepEqual([slow.gaps.length, fast.gaps.length], [1, 0]);
});

test('the source waits for the fastest viewer, but not for one that stands still', async () => {
  const relay = createRelay({ maxEvents: 100 });
  const [stuck, fast] = [viewer(relay), viewer(relay)];
  carry(stuck.ends);
  carry(fast.ends);
  let pauses = 0;
  for (let id = 1; id <= 2_000; id++) {
    const pause = relay.send({ id: `${id}`, type: 'message.posted', text: 'x'.repeat(10_000) });
    if (pause && ++pauses) {
      setImmediate(() => carry(fast.ends));
      await pause;
    }
  }
  carry(fast.ends);
  assert.deepEqual([fast.ids, fast.gaps], [range(1, 2_000), []]);
  assert(pauses > 10);
  fast.ends[0].close();
  // Nobody takes anything any more: it waits once, and then no more.
  const began = Date.now();
  for (let id = 2_001; id <= 2_500; id++) await relay.send({ id: `${id}`, type: 'message.posted' });
  assert(Date.now() - began < 3_000);
});

test('what is kept is bounded in bytes too', () => {
  const relay = createRelay({ maxBytes: 10_000, history: 1_000 });
  send(relay, 1, 100, { text: 'x'.repeat(1_000) });
  const late = viewer(relay);
  carry(late.ends);
  assert.deepEqual(late.ids, range(92, 100));
});

test('a viewer who reconnects goes on where it was', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  send(relay, 1, 10);
  carry(seen.ends);
  send(relay, 11, 15);
  seen.ends[0].sent.length = 0;
  seen.reconnect(relay);
  carry(seen.ends);
  assert.deepEqual(seen.ids, range(1, 15));
  assert.deepEqual(seen.gaps, []);
  assert.equal(relay.viewers, 1);
});

test('another relay that knows the last event leaves no gap, one that does not may', () => {
  const seen = viewer(createRelay());
  carry(seen.ends);
  const [first, second, third] = [createRelay(), createRelay(), createRelay()];
  seen.reconnect(first);
  carry(seen.ends);
  send(first, 1, 10);
  carry(seen.ends);
  send(second, 5, 12);
  seen.reconnect(second);
  carry(seen.ends);
  assert.deepEqual([seen.ids, seen.gaps], [range(1, 12), []]);
  send(third, 14, 15);
  seen.reconnect(third);
  carry(seen.ends);
  assert.deepEqual([seen.ids, seen.gaps], [[...range(1, 12), 14, 15], [null]]);
});

test('a start that gets no answer is said again', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const relay = createRelay();
  send(relay, 1, 1);
  const seen = viewer(relay);
  carry(seen.ends, () => true);
  context.mock.timers.tick(1_000);
  carry(seen.ends);
  assert.deepEqual(seen.ids, [1]);
  context.mock.timers.tick(10_000);
  assert.deepEqual(seen.ends[1].sent, []);
});

test('a viewer that asks from the start again and again is not sent everything each time', () => {
  const now = mock.method(performance, 'now', () => 0);
  const relay = createRelay({ history: 2_000 });
  const text = 'x'.repeat(1_600);
  for (let id = 1; id <= 2_000; id++) send(relay, id, id, { text });
  const ours = new Channel();
  relay.add(ours);
  let bytes = 0;
  const drain = () => {
    while (ours.sent.length > 0) {
      bytes += ours.bufferedAmount;
      ours.sent.length = 0;
      ours.dispatchEvent(new Event('bufferedamountlow'));
    }
  };
  const start = () => (hand(ours, '{"type":"start"}'), drain());
  start();
  const once = bytes;
  assert(once > 3_000_000);
  for (let again = 0; again < 50; again++) start();
  assert(bytes < 4 * once, `${bytes} bytes were sent for ${once}`);
  const before = bytes;
  // Nor does it get more by asking for long.
  for (let minute = 1; minute <= 60; minute++) {
    now.mock.mockImplementation(() => minute * 60_000);
    for (let again = 0; again < 10; again++) start();
  }
  assert(bytes - before < 60 * 60 * 64 * 1024 + 2 * once, `${bytes - before} bytes in an hour`);
  assert(bytes - before > once, 'whoever waits is answered');
  now.mock.restore();
});

test('a viewer that has asked too often still gets what is new', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  for (let again = 0; again < 5_000; again++) hand(seen.ends[0], '{"type":"start"}');
  assert(seen.ends[0].sent.length < 4_200, `${seen.ends[0].sent.length} answers`);
  send(relay, 1, 3);
  carry(seen.ends);
  assert.deepEqual(seen.ids, [1, 2, 3]);
});

test('what a lossy channel lost is asked for and comes, in order', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  let count = 0;
  for (let id = 1; id <= 100; id++) {
    send(relay, id, id);
    carry(seen.ends, (data) => String(data).includes('"type":"event"') && ++count % 7 === 0);
  }
  send(relay, 101, 101);
  carry(seen.ends);
  assert.deepEqual(seen.ids, range(1, 101));
  assert.deepEqual(seen.gaps, []);
});

test('an event that is too large for a message comes in parts, and again if one is lost', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  const text = '가나다🙂'.repeat(20_000);
  send(relay, 1, 1, { text });
  assert(seen.ends[0].sent.every((part) => part.length <= 65_536));
  let parts = 0;
  carry(seen.ends, (data) => typeof data !== 'string' && ++parts === 2);
  send(relay, 2, 2);
  carry(seen.ends);
  assert.deepEqual(seen.ids, [1, 2]);
  assert(seen.events[0].text === text);
});

test('what was deleted or cleared is not told to who comes later', () => {
  const relay = createRelay();
  send(relay, 1, 3, { replyTo: '0', attributes: { amount: 5 }, emotes: [{ id: 'a', start: 0, end: 4 }] });
  relay.send({ id: '4', type: 'message.deleted', target: '2' });
  const between = viewer(relay);
  carry(between.ends);
  const extras = ({ replyTo, attributes, emotes }) => [replyTo, attributes?.amount, emotes?.[0].id];
  assert.deepEqual(between.events.map(extras).slice(0, 2), [
    ['0', 5, 'a'],
    [undefined, undefined, undefined],
  ]);
  assert.deepEqual(between.events.map(({ text }) => text), ['text 1', undefined, 'text 3', undefined]);
  assert.equal(between.events[1].deleted, true);
  relay.send({ id: 'notice', type: 'notice.posted', text: 'text 1 again' });
  relay.send({ id: '5', type: 'room.cleared' });
  const late = viewer(relay);
  carry(late.ends);
  assert.equal(late.events.find(({ type }) => type === 'notice.posted').deleted, true);
  assert(!JSON.stringify(late.events).includes('text 1'));
});

test('what was restored is told to who comes later, in its place, until it is deleted again', () => {
  const relay = createRelay();
  send(relay, 1, 3);
  const message = { id: '2', type: 'message.posted', at: 'then', user: { idx: 7, nickname: 'n', role: 'viewer', ip: 'x' }, text: 'text 2', by: 'x' };
  const late = () => {
    const { ends, events } = viewer(relay);
    carry(ends);
    return events;
  };
  relay.send({ id: '4', type: 'message.deleted', target: '2' });
  relay.send({ id: '5', type: 'message.restored', target: '2', message, by: { idx: 3 }, reason: 'why' });
  const shown = { ...message, user: { idx: 7, nickname: 'n', role: 'viewer' } };
  delete shown.by;
  assert.deepEqual([late()[1], late()[4]], [shown, { id: '5', type: 'message.restored', target: '2', message: shown }]);
  relay.send({ id: '6', type: 'message.deleted', target: '2' });
  assert.equal(late()[1].deleted, true);
  assert.deepEqual(late()[4], { id: '5', type: 'message.restored', target: '2' });
  relay.send({ id: '7', type: 'message.restored', target: '2', message });
  assert.equal(late()[1].text, 'text 2');
  relay.send({ id: '8', type: 'room.cleared' });
  assert(!JSON.stringify(late()).includes('text'));
  // The server did not have the message any more.
  relay.send({ id: '9', type: 'message.restored', target: '2' });
  assert.equal(late()[1].deleted, true);
  relay.send({ id: '10', type: 'message.restored', target: '2', message });
  relay.send({ id: '11', type: 'user.erased', user: 7 });
  assert.deepEqual([late()[1], late()[9]], [{ id: '2', type: 'message.erased' }, { id: '10', type: 'message.erased' }]);
});

test('what a ban purges is not told to who comes later, and nothing else', () => {
  const relay = createRelay();
  const seconds = (second) => `2026-01-01T00:00:${second}.000Z`;
  const post = (id, idx, second) =>
    relay.send({ id, type: 'message.posted', at: seconds(second), user: { idx, nickname: 'n', role: 'viewer' }, text: `text ${id}` });
  post('1', 7, '09');
  post('2', 7, '10');
  post('3', 8, '15');
  post('4', 7, '31');
  relay.send({ id: '5', type: 'user.banned', at: seconds('30'), user: 7, purgeSeconds: 20, by: { idx: 3 } });
  post('6', 7, '32');
  relay.send({ id: '7', type: 'user.banned', at: seconds('33'), user: 8, by: { idx: 3 } });
  const { ends, events } = viewer(relay);
  carry(ends);
  const texts = events.map(({ text }) => text);
  assert.deepEqual(texts, ['text 1', undefined, 'text 3', undefined, undefined, 'text 6', undefined]);
  assert.deepEqual(events[4], { id: '5', type: 'user.banned', at: seconds('30'), user: 7, purgeSeconds: 20 });
});

test('of a user who was erased nothing is told to who comes later, and the numbers stay whole', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  const post = (id, idx, text) =>
    relay.send({ id, type: 'message.posted', user: { idx, nickname: `nick ${idx}`, role: 'viewer' }, text });
  post('1', 7, 'text 1');
  post('2', 8, 'text 2');
  relay.send({ id: '3', type: 'user.banned', user: 7 });
  post('4', 7, 'text 4');
  relay.send({ id: '5', type: 'message.deleted', target: '4' });
  relay.send({ id: '6', type: 'user.erased', user: 7, mode: 'remove' });
  post('7', 7, 'text 7');
  carry(seen.ends);
  const late = viewer(relay);
  carry(late.ends);
  assert.deepEqual(late.events.map(({ type }) => type.split('.')[1]), [
    'erased', 'posted', 'banned', 'erased', 'deleted', 'erased', 'posted',
  ]);
  assert.deepEqual(late.events[0], { id: '1', type: 'message.erased' });
  assert(!/text [14]/.test(JSON.stringify(late.events)));
  assert.deepEqual([late.events[1].text, late.events[6].text, late.gaps], ['text 2', 'text 7', []]);
});

test("a room's settings, held messages, reports, warnings and notes reach no viewer, and every other decision does", () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  send(relay, 1, 1);
  relay.send({ id: '2', type: 'room.updated', settings: { words: ['our own'] } });
  relay.send({ id: '5', type: 'message.held', target: '6', user: { idx: 7 }, text: 'held' });
  relay.send({ id: '6', type: 'message.denied', target: '6', user: 7 });
  relay.send({ id: '7', type: 'message.reported', target: '1', category: 'spam', reason: 'our own' });
  relay.send({ id: '8', type: 'report.closed', target: '1', reason: 'our own' });
  relay.send({ id: '9', type: 'user.warned', user: 7, reason: 'our own' });
  relay.send({ id: '10', type: 'warning.sent', user: 7, target: '9' });
  relay.send({ id: '11', type: 'warning.withdrawn', user: 7, reason: 'our own' });
  relay.send({ id: '12', type: 'note.added', user: 7, text: 'our own' });
  relay.send({ id: '13', type: 'note.deleted', user: 7, target: '12', reason: 'our own' });
  // Of every room: without a presenterIdx.
  relay.send({ id: '3', type: 'user.banned', user: 7 });
  relay.send({ id: '4', type: 'user.unbanned', user: 7 });
  const late = viewer(relay);
  carry(seen.ends);
  carry(late.ends);
  for (const { ids, events, gaps } of [seen, late]) {
    assert.deepEqual([ids, gaps], [[1, 3, 4], []]);
    assert.ok(!JSON.stringify(events).includes('our own'));
  }
});

test('nonsense from a viewer is passed over', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  for (const nonsense of ['', '{', 'null', '7', '[]', '{"type":"start","after":7}', '{"type":"x"}', 'x'.repeat(9_999)]) {
    hand(seen.ends[0], nonsense);
  }
  carry(seen.ends);
  send(relay, 1, 1);
  carry(seen.ends);
  assert.deepEqual(seen.ids, [1]);
});

test('a welcome that is late on a busy line leaves nothing out', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  for (const history of [0, 10, 100]) {
    const relay = createRelay({ history });
    send(relay, 1, 100);
    const { ends, told } = viewer(relay);
    // What the viewer says arrives at once; what it is told waits behind what else is on the line.
    for (let id = 101; id <= 1_400; id++) {
      carryTo(ends[0], ends[1].sent);
      send(relay, id, id, { text: 'x'.repeat(1_000) });
      mock.timers.tick(3);
    }
    carry(ends);
    send(relay, 1_401, 1_401);
    carry(ends);
    assert.deepEqual(told, range(101 - history, 1_401), `history ${history}`);
  }
});

test('what was lost before anything came is asked for, or told', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  for (const history of [0, 2]) {
    const relay = createRelay({ history });
    const { ends, told } = viewer(relay);
    carry(ends);
    send(relay, 1, 1);
    carry(ends, () => true);
    send(relay, 2, 4);
    carry(ends);
    assert.deepEqual(told, [1, 2, 3, 4]);
  }
  // More came meanwhile than is kept.
  const relay = createRelay({ history: 0, maxEvents: 3 });
  const { ends, told } = viewer(relay);
  carry(ends);
  for (let id = 1; id <= 9; id++) {
    send(relay, id, id);
    carry(ends, () => true);
  }
  send(relay, 10, 10);
  carry(ends);
  assert.deepEqual(told, ['7 missing', 8, 9, 10]);
});

test('the last event before a silence is missed, too, where a channel can lose it', () => {
  for (const loss of [{ ordered: false }, { maxRetransmits: 0 }, { maxPacketLifeTime: 100 }]) {
    mock.timers.enable({ apis: ['setTimeout'] });
    const relay = createRelay();
    const { ends, told } = viewer(relay, [Object.assign(new Channel(), loss), new Channel()]);
    carry(ends);
    send(relay, 1, 2);
    carry(ends, (data) => data.includes('"number":2'));
    mock.timers.tick(1_000);
    carry(ends, () => true);
    mock.timers.tick(2_000);
    carry(ends);
    assert.deepEqual(told, [1, 2]);
    mock.timers.tick(100_000);
    assert(ends[0].sent.length <= 4, 'it goes on for ever');
    mock.timers.reset();
  }
});

test("a presenter's page that is loaded anew and keeps many events hands none out twice", () => {
  const [before, after] = [createRelay({ maxEvents: 10_000 }), createRelay({ maxEvents: 10_000 })];
  const seen = viewer(before);
  carry(seen.ends);
  for (let id = 1; id <= 10_000; id += 100) {
    send(before, id, id + 99);
    carry(seen.ends);
  }
  // The new page has all but the last, which the viewer had.
  send(after, 11, 9_999);
  seen.reconnect(after);
  carry(seen.ends);
  send(after, 10_000, 10_001);
  carry(seen.ends);
  assert.deepEqual(seen.ids, range(1, 10_001));
});

test('an event that the relay is given twice is one', () => {
  const relay = createRelay();
  const { ends, told } = viewer(relay);
  carry(ends);
  send(relay, 1, 2);
  carry(ends, (data) => data.includes('"number":2'));
  send(relay, 1, 1);
  send(relay, 3, 3);
  carry(ends);
  assert.deepEqual(told, [1, 2, 3]);
});

/** Makes a channel throw, `times` times. */
function throws(channel, times, which = () => true) {
  const send = channel.send;
  channel.send = (data) => {
    if (which(data) && times-- > 0) throw new Error('Failure to send data');
    send.call(channel, data);
  };
}

for (const times of [1, 3, 5]) {
  test(`a channel that throws is tried again: ${times} times`, () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const relay = createRelay();
    const { ends, told } = viewer(relay);
    carry(ends);
    send(relay, 1, 1);
    throws(ends[0], times);
    send(relay, 2, 2, { text: 'x'.repeat(200_000) });
    send(relay, 3, 3);
    for (let turn = 0; turn < 40; turn++) mock.timers.tick(250);
    carry(ends);
    assert.deepEqual([told, relay.viewers, reports()], [[1, 2, 3], 1, []]);
  });
}

test('a channel that throws until there is room goes on as soon as there is', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const relay = createRelay();
  const { ends, told } = viewer(relay);
  carry(ends);
  throws(ends[0], 1);
  send(relay, 1, 2);
  assert.deepEqual(told, []);
  ends[0].dispatchEvent(new Event('bufferedamountlow'));
  carry(ends);
  assert.deepEqual(told, [1, 2]);
});

test('an event that a channel never takes is told as missing, and the others come', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const relay = createRelay();
  const { ends, told } = viewer(relay);
  carry(ends);
  throws(ends[0], Infinity, (data) => String(data).includes('"number":2'));
  send(relay, 1, 3);
  for (let turn = 0; turn < 40; turn++) mock.timers.tick(250);
  carry(ends);
  assert.deepEqual([told, relay.viewers], [[1, '1 missing', 3], 1]);
});

for (const started of [true, false]) {
  test(`a channel that takes nothing ${started ? 'any more' : 'from the start'} is closed, and that is reported`, () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const relay = createRelay();
    const { ends } = viewer(relay);
    if (started) carry(ends);
    throws(ends[0], Infinity);
    send(relay, 1, 3);
    for (let turn = 0; turn < 400; turn++) {
      mock.timers.tick(250);
      carryTo(ends[0], ends[1].sent);
    }
    assert.deepEqual([ends[0].readyState, relay.viewers], ['closed', 0]);
    assert.match(`${reports()}`, /closed the channel .*: it accepts no messages/);
  });
}

test('a viewer whose channel throws at the start, and whose page throws at every event, misses nothing', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const relay = createRelay();
  const ends = [new Channel(), new Channel()];
  const ids = [];
  relay.add(ends[0]);
  throws(ends[1], 2);
  receive(ends[1], {
    onEvent: (event) => {
      ids.push(Number(event.id));
      throw new Error('cannot be shown');
    },
  });
  mock.timers.tick(1_000);
  mock.timers.tick(2_000);
  send(relay, 1, 2);
  carry(ends);
  assert.deepEqual(ids, [1, 2]);
  assert.deepEqual(reports(), [
    'Failure to send data', 'Failure to send data', 'cannot be shown', 'cannot be shown',
  ]);
});

test('a channel counts once it is open, and one that never opens is closed', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const relay = createRelay();
  const [stuck, late] = [new Channel(), new Channel()];
  stuck.readyState = late.readyState = 'connecting';
  const seen = viewer(relay, [late, new Channel()]);
  relay.add(stuck);
  relay.add(late);
  assert.equal(relay.viewers, 0);
  mock.timers.tick(100_000);
  late.readyState = 'open';
  late.dispatchEvent(new Event('open'));
  send(relay, 1, 1);
  carry(seen.ends);
  mock.timers.tick(20_000);
  assert.deepEqual([relay.viewers, seen.told, stuck.readyState, late.readyState], [1, [1], 'closed', 'open']);
});

test('an event that cannot be sent is the error of who sends it, and nobody misses another', () => {
  const relay = createRelay();
  const { ends, told } = viewer(relay);
  carry(ends);
  send(relay, 1, 1);
  assert.throws(() => relay.send({ id: '2', type: 'x', big: 2n }));
  send(relay, 3, 3);
  carry(ends);
  assert.deepEqual(told, [1, 3]);
});

const by = { idx: 77, nickname: 'the moderator', role: 'moderator' };
const base = { at: '2026-11-22T12:34:56.789Z', v: 1, position: 'p', presenterIdx: 42 };

/** What viewers get of these, at once and later. */
function shownTo(events, options) {
  const relay = createRelay(options);
  const now = viewer(relay);
  carry(now.ends);
  for (const event of events) relay.send(event);
  const later = viewer(relay);
  carry(now.ends);
  carry(later.ends);
  return [now.events, later.events];
}

test('viewers get what they need to hide a message, and not who moderated or why', () => {
  const why = { by, reason: 'posted her own address' };
  const user = { idx: 7, nickname: 'n', role: 'viewer' };
  const extras = { replyTo: '0', attributes: { color: '#00C853' }, emotes: [{ id: 'a', start: 0, end: 1 }] };
  const rows = [
    [{ ...base, id: '1', type: 'message.deleted', target: '0', ...why }, { target: '0' }],
    [{ ...base, id: '8', type: 'message.restored', target: '0', ...why }, { target: '0' }],
    [{ ...base, id: '10', type: 'message.pinned', target: '6', ...why }, { target: '6' }],
    [{ ...base, id: '11', type: 'message.unpinned', target: '6', ...why }, { target: '6' }],
    [{ ...base, id: '2', type: 'room.cleared', ...why }, {}],
    [{ ...base, id: '3', type: 'user.banned', user: 7, until: base.at, ...why }, { user: 7 }],
    [{ ...base, id: '4', type: 'user.unbanned', user: 7, ...why }, { user: 7 }],
    [{ ...base, id: '5', type: 'user.erased', user: 8, mode: 'remove', ...why }, { user: 8 }],
    [{ ...base, id: '6', type: 'message.posted', user: { ...user, email: 'x' }, text: 't', ...extras, ip: 'x', ...why }, { user, text: 't', ...extras }],
    [{ ...base, id: '9', type: 'notice.posted', user: { ...user, email: 'x' }, text: 'n', ...why }, { user, text: 'n' }],
    // Of a later server, or the page's own.
    [{ ...base, id: '7', type: 'poll.closed', poll: 3, ...why }, { poll: 3 }],
  ];
  const expected = rows.map(([{ id, type }, members]) => ({ ...base, id, type, ...members }));
  for (const events of shownTo(rows.map(([event]) => event))) {
    assert.deepEqual(events, expected);
    assert(!/moderator|address|77/.test(JSON.stringify(events)));
  }
});

test('a page says itself what viewers get, and what was deleted or erased is forgotten all the same', () => {
  const events = [
    { id: '1', type: 'message.posted', user: { idx: 7 }, text: 'secret 1' },
    { id: '2', type: 'message.posted', user: { idx: 8 }, text: 'secret 2' },
    { id: '3', type: 'message.posted', user: { idx: 9 }, text: 'kept' },
    { id: '4', type: 'message.deleted', target: '1', by },
    { id: '5', type: 'user.erased', user: 8, by },
    { id: '6', type: 'poll', by: 'anna' },
    { id: '7', type: 'broken' },
  ];
  const [, later] = shownTo(events, {
    forViewers: (event) => {
      if (event.type === 'broken') throw new Error('no such type');
      if (event.type === 'poll') return event;
      return event.type === 'message.posted' ? { id: 'x', type: 'line', says: event.text ?? null } : forViewers(event);
    },
  });
  assert.deepEqual(later, [
    { id: '1', type: 'line', says: null },
    { id: '2', type: 'message.erased' },
    { id: '3', type: 'line', says: 'kept' },
    { id: '4', type: 'message.deleted', target: '1' },
    { id: '5', type: 'user.erased', user: 8 },
    { id: '6', type: 'poll', by: 'anna' },
  ]);
  assert.deepEqual(reports(), ['no such type']);
  // Where it cannot say what is left of a deleted message, nothing is.
  const [, without] = shownTo([events[0], events[3]], {
    forViewers: (event) => (event.deleted ? { ...event, big: 2n } : event),
  });
  assert.deepEqual(without[0], { id: '1', type: 'message.erased' });
});

test('a viewer whose last event had a long id of the page comes back to where it was', () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  relay.send({ id: '1'.repeat(10_000), type: 'gift' });
  carry(seen.ends);
  relay.send({ id: '2', type: 'gift' });
  seen.reconnect(relay);
  carry(seen.ends);
  assert.deepEqual([seen.events.length, seen.gaps], [2, []]);
});

test('no user is taken for another because a number of JavaScript is too short', () => {
  const post = (id, idx) => ({ id, type: 'message.posted', user: { idx, nickname: 'n', role: 'viewer' }, text: `text ${id}` });
  // As presenter.js hands them out: exactly.
  let [, later] = shownTo([
    post('1', '9007199254740992'), post('2', '9007199254740993'), post('3', 7),
    { id: '4', type: 'user.erased', user: '9007199254740993' },
  ]);
  assert.deepEqual(later.map(({ text }) => text), ['text 1', undefined, 'text 3', undefined]);
  assert.deepEqual(reports(), []);
  // As another client might: nobody can tell these two apart, so neither is taken for the other, and that is reported.
  [, later] = shownTo([
    post('1', 9007199254740992), post('2', Number('9007199254740993')),
    { id: '3', type: 'user.erased', user: 9007199254740992 },
    { id: '4', type: 'user.banned', user: 9007199254740992 },
  ]);
  assert.deepEqual(later.map(({ id, text, user }) => [id, text, user.idx]), [
    ['1', 'text 1', undefined], ['2', 'text 2', undefined],
  ]);
  assert.equal(reports().filter((message) => message.includes('is too large to be exact')).length, 3);
});

test('over a line that loses, doubles, delays and reorders, whoever watches gets everything or is told how much is missing', () => {
  for (let seed = 1; seed <= 100; seed++) {
    let state = seed * 2_654_435_761;
    const chance = (of) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 8) % of === 0;
    };
    mock.timers.enable({ apis: ['setTimeout'] });
    const relay = createRelay({ history: 0, maxEvents: 8 });
    const { ends, told } = viewer(relay, [Object.assign(new Channel(), { ordered: false }), new Channel()]);
    for (const end of ends) {
      const send = end.send;
      end.send = (data) => {
        if (chance(20)) throw new Error('Failure to send data');
        send.call(end, data);
      };
    }
    let id = 0;
    for (let turn = 0; turn < 300; turn++) {
      if (chance(2)) send(relay, ++id, id, chance(30) ? { text: 'x'.repeat(100_000) } : {});
      for (const [from, to] of [ends, [ends[1], ends[0]]]) {
        if (chance(3)) continue;
        const sent = from.sent.splice(0);
        if (chance(5)) sent.reverse();
        for (const data of sent) {
          if (chance(6)) continue;
          hand(to, data);
          if (chance(6)) hand(to, data);
        }
      }
      ends[0].dispatchEvent(new Event('bufferedamountlow'));
      if (chance(3)) mock.timers.tick(700);
    }
    // The line is well again.
    for (const end of ends) delete end.send;
    for (let turn = 0; turn < 60; turn++) {
      if (turn === 40) send(relay, ++id, id);
      mock.timers.tick(500);
      carry(ends);
    }
    // Where it came in is not known, but what was missing before its first event is.
    const came = told.findIndex((next) => typeof next === 'number');
    const missing = told.slice(0, came).reduce((sum, gap) => sum + Number.parseInt(gap), 0);
    const before = told[came] - 1 - missing;
    assert(before >= 0, `seed ${seed}`);
    assert.equal(isWhole(told, before), id, `seed ${seed}: ${told}`);
    mock.timers.reset();
  }
});
