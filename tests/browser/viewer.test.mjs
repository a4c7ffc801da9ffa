// viewer.js with a second source, which is the test's: the channel is cut, silent or behind, every event comes once.
// With a real server and real peer connections it is tested in mod.rs.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { createRelay } from '../../delivery/js/relay.js';
import { receive } from '../../delivery/js/viewer.js';

/** One end of a channel, which carries at once while it is connected. */
class Channel extends EventTarget {
  readyState = 'open';
  bufferedAmount = 0;
  isCut = false;
  send(data) {
    if (this.isCut) return;
    const message = new Event('message');
    message.data = data;
    this.other.dispatchEvent(message);
  }
  close() {
    for (const end of [this, this.other]) {
      if (end.readyState === 'closed') continue;
      end.readyState = 'closed';
      end.dispatchEvent(new Event('close'));
    }
  }
}

/** Two ends of a channel. */
function channel() {
  const ends = [new Channel(), new Channel()];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  return ends;
}

let now;
let timers;

beforeEach(() => {
  globalThis.reportError = mock.fn();
  now = 0;
  mock.method(performance, 'now', () => now);
  mock.method(Math, 'random', () => 0);
  timers = mock.timers;
  timers.enable({ apis: ['setTimeout', 'setInterval'] });
});

afterEach(() => {
  mock.restoreAll();
  timers.reset();
});

/** Time passes, for timers as for the clock. */
function pass(seconds) {
  for (let step = 0; step < seconds; step++) {
    now += 1_000;
    timers.tick(1_000);
  }
}

const event = (id) => ({ id: `${id}`, position: `p${id}`, type: 'message.posted', text: `text ${id}` });

/** A viewer of the relay, and everything that the second source is told and asked. */
function viewer(relay, ends = channel()) {
  const seen = { ids: [], gaps: [], sources: [], asked: [], ends };
  relay?.add(ends[0]);
  seen.viewer = receive(relay ? ends[1] : null, {
    onEvent: ({ id }) => seen.ids.push(Number(id)),
    onGap: ({ missed }) => seen.gaps.push(missed),
    onSource: (source) => seen.sources.push(source),
    readEvents: (options) => {
      const reader = { ...options, isClosed: false, close: () => (reader.isClosed = true) };
      reader.live = () => options.onStatus({ state: 'live' });
      reader.send = (from, to = from) => {
        for (let id = from; id <= to; id++) options.onEvent(event(id));
      };
      seen.asked.push(reader);
      return reader;
    },
  });
  seen.attach = (to) => {
    seen.ends = channel();
    to.add(seen.ends[0]);
    seen.viewer.attach(seen.ends[1]);
  };
  return seen;
}

const send = (relay, from, to = from) => {
  for (let id = from; id <= to; id++) relay.send(event(id));
};

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Lets the promise of `readEvents` settle. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a closed channel is replaced by the server from the last position on, until there is another one', async () => {
  const relay = createRelay();
  const seen = viewer(relay);
  send(relay, 1, 5);
  seen.ends[0].close();
  pass(1);
  await settle();
  const [reader] = seen.asked;
  assert.equal(reader.position, 'p5');
  reader.live();
  send(relay, 6, 8);
  reader.send(6, 7);
  seen.attach(relay);
  assert.equal(reader.isClosed, true);
  // What still comes from the server came by the channel.
  reader.send(8, 9);
  send(relay, 9, 10);
  assert.deepEqual(seen.ids, range(1, 10));
  assert.deepEqual([seen.gaps, seen.sources], [[], ['channel', 'events', 'channel']]);
});

test('a silent channel is replaced, and is the source again when it is heard', async () => {
  const relay = createRelay();
  const seen = viewer(relay);
  send(relay, 1, 3);
  pass(60);
  assert.equal(seen.asked.length, 0, 'keepalives come');
  seen.ends[0].isCut = true;
  pass(14);
  assert.equal(seen.asked.length, 0);
  pass(7);
  await settle();
  const [reader] = seen.asked;
  assert.equal(reader.position, 'p3');
  reader.live();
  reader.send(4, 6);
  // A line that was cut for a moment hands out what was sent meanwhile.
  seen.ends[0].isCut = false;
  send(relay, 4, 7);
  assert.equal(reader.isClosed, true);
  assert.deepEqual(seen.ids, range(1, 7));
  assert.deepEqual(seen.gaps, []);
});

test('a channel that opens and says nothing is replaced', async () => {
  const seen = viewer({ add() {} });
  pass(14);
  await settle();
  assert.equal(seen.asked.length, 0);
  pass(2);
  await settle();
  assert.equal(seen.asked.length, 1);
  assert.equal(seen.asked[0].position, null);
});

test('a viewer without a channel reads from the server, and then goes on by its first channel', async () => {
  const relay = createRelay();
  send(relay, 1, 7);
  const seen = viewer(null);
  pass(1);
  await settle();
  seen.asked[0].live();
  seen.asked[0].send(5, 7);
  seen.attach(relay);
  send(relay, 8);
  // The relay keeps what came before the viewer's first event. It is not shown after it.
  assert.deepEqual(seen.ids, [5, 6, 7, 8]);
  assert.equal(seen.asked[0].isClosed, true);
});

for (const first of ['server', 'channel']) {
  test(`a channel whose relay is behind the server waits until both meet, if the ${first} is faster`, async () => {
    const [before, after] = [createRelay(), createRelay()];
    const seen = viewer(before);
    send(before, 1, 5);
    seen.ends[0].close();
    pass(1);
    await settle();
    const [reader] = seen.asked;
    reader.live();
    reader.send(6, 20);
    // The presenter's page was loaded anew. It has nothing yet, or lacks the last.
    send(after, 18, 19);
    seen.attach(after);
    const steps = [() => reader.send(21, 22), () => send(after, 20, 22)];
    for (const step of first === 'server' ? steps : steps.reverse()) step();
    send(after, 23, 24);
    assert.deepEqual(seen.ids, range(1, 24));
    assert.deepEqual([seen.gaps, reader.isClosed], [[], true]);
  });
}

test('a relay that has nothing of what came meets the server at the first event that both have', async () => {
  const [before, after] = [createRelay(), createRelay()];
  const seen = viewer(before);
  send(before, 1, 5);
  seen.ends[0].close();
  pass(1);
  await settle();
  const [reader] = seen.asked;
  reader.live();
  reader.send(6, 9);
  seen.attach(after);
  // Each event comes by the channel first.
  send(after, 10, 12);
  assert.deepEqual(seen.ids, range(1, 9));
  reader.send(10);
  assert.deepEqual(seen.ids, range(1, 12));
  send(after, 13);
  assert.deepEqual([seen.ids.at(-1), seen.gaps, reader.isClosed], [13, [], true]);
});

test('a viewer that the server refuses is told of the gap, and goes on by the channel', async () => {
  const [before, after] = [createRelay(), createRelay()];
  const seen = viewer(before);
  send(before, 1, 5);
  seen.ends[0].close();
  pass(1);
  await settle();
  const [reader] = seen.asked;
  reader.onStatus({ state: 'stopped', reason: 'not yours' });
  send(after, 8, 9);
  seen.attach(after);
  assert.deepEqual([seen.ids, seen.gaps], [[1, 2, 3, 4, 5, 8, 9], [null]]);
});

test("the server's gap is told at its place", async () => {
  const relay = createRelay();
  const seen = viewer(relay);
  send(relay, 1, 2);
  seen.ends[0].close();
  pass(1);
  await settle();
  seen.asked[0].onGap();
  seen.asked[0].live();
  seen.asked[0].send(9);
  assert.deepEqual([seen.ids, seen.gaps], [[1, 2, 9], [null]]);
});

test('a viewer that is detached asks nobody any more', async () => {
  const relay = createRelay();
  const seen = viewer(relay);
  seen.ends[0].close();
  pass(1);
  await settle();
  const [reader] = seen.asked;
  seen.viewer.detach();
  assert.equal(reader.isClosed, true);
  reader.send(1);
  pass(60);
  assert.deepEqual([seen.ids, seen.asked.length], [[], 1]);
});

test('a viewer without a second source, and one of an earlier relay, wait for their channel', () => {
  const relay = createRelay();
  const ends = channel();
  relay.add(ends[0]);
  const ids = [];
  receive(ends[1], { onEvent: ({ id }) => ids.push(Number(id)) });
  ends[0].isCut = true;
  pass(120);
  ends[0].isCut = false;
  send(relay, 1);
  assert.deepEqual(ids, [1]);

  const old = channel();
  old[0].addEventListener('message', () => old[0].send(JSON.stringify({ type: 'welcome', next: 1, recovered: true })));
  const asked = [];
  receive(old[1], { onEvent: () => {}, readEvents: (options) => (asked.push(options), { close() {} }) });
  pass(120);
  assert.deepEqual(asked, []);
});
