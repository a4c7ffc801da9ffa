// What relay.js and viewer.js do about slow, late and lossy channels, over a channel that is the test's:
// `node --test tests/browser/`. What they do over real peer connections is tested in a real browser, in mod.rs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRelay } from '../../delivery/web/relay.js';
import { receive } from '../../delivery/web/viewer.js';

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
function viewer(relay) {
  const seen = { ids: [], events: [], gaps: [] };
  seen.ends = [new Channel(), new Channel()];
  relay.add(seen.ends[0]);
  seen.viewer = receive(seen.ends[1], {
    onEvent: (event) => (seen.ids.push(Number(event.id)), seen.events.push(event)),
    onGap: ({ missed }) => seen.gaps.push(missed),
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
  assert.equal(relay.viewers, 1 + 1, 'the closed channel is noticed at the next event');
  send(relay, 16, 16);
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
  send(relay, 1, 3);
  relay.send({ id: '4', type: 'message.deleted', target: '2' });
  const between = viewer(relay);
  carry(between.ends);
  assert.deepEqual(between.events.map(({ text }) => text), ['text 1', undefined, 'text 3', undefined]);
  assert.equal(between.events[1].deleted, true);
  relay.send({ id: '5', type: 'room.cleared' });
  const late = viewer(relay);
  carry(late.ends);
  assert(!JSON.stringify(late.events).includes('text 1'));
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

test("a room's settings stay with the presenter, and every other decision reaches the viewers", () => {
  const relay = createRelay();
  const seen = viewer(relay);
  carry(seen.ends);
  send(relay, 1, 1);
  relay.send({ id: '2', type: 'room.updated', settings: { words: ['our own'] } });
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
