// replay.js with a player that the test moves, against an archive of the test's: `node --test tests/browser/*.test.mjs`. With a
// real archiver it is tested in tests/browser/console/broadcasts.rs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { replayChat } from '../../console/assets/replay.js';

/** A message a second. */
const MESSAGES = Array.from({ length: 3_600 }, (_, second) => ({ id: `id${second}`, offsetMs: second * 1_000 }));

class Player extends EventTarget {
  currentTime = 0;
  playbackRate = 1;

  seek(seconds) {
    this.currentTime = seconds;
    this.dispatchEvent(new Event('seeking'));
  }
}

let server;
let url;
let requests;
/** Answers instead of pages, in turn: [status, body]. */
let refusals;
/** Awaited before each answer. */
let before;
let player;
let replay;
let shown;
let states;

beforeEach(async () => {
  [requests, refusals, shown, states] = [[], [], [], []];
  before = () => {};
  server = createServer(async (request, response) => {
    const query = new URL(request.url, 'http://archive').searchParams;
    requests.push({ path: request.url.split('?')[0], query, token: request.headers.authorization });
    await before();
    const refusal = refusals.shift();
    if (refusal) {
      response.writeHead(refusal[0], { 'Content-Type': 'application/problem+json' });
      return response.end(JSON.stringify(refusal[1]));
    }
    const from = query.has('after') ? Number(query.get('after')) : Math.ceil(Number(query.get('from')) / 1_000);
    const to = from + Number(query.get('first'));
    const next = to < MESSAGES.length ? { next: String(to) } : {};
    return response.end(JSON.stringify({ messages: MESSAGES.slice(from, to), ...next }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${server.address().port}`;
  player = new Player();
});

afterEach(() => {
  replay?.close();
  server.closeAllConnections();
  server.close();
});

function begin(options = {}) {
  replay = replayChat({
    url,
    room: 42,
    broadcast: 'b',
    player,
    getToken: ({ expired }) => (expired ? 'new' : 'old'),
    onReset: (messages) => (shown = messages.map(({ offsetMs }) => offsetMs / 1_000)),
    onMessages: (messages) => shown.push(...messages.map(({ offsetMs }) => offsetMs / 1_000)),
    onState: (state, reason) => states.push([state, reason]),
    ...options,
  });
}

/** Waits until the last shown message is that of the second. */
async function shows(second) {
  while (shown.at(-1) !== second) await new Promise((resolve) => setTimeout(resolve, 5));
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test('a seek shows what was said just before, and then each message when it is due, once', async () => {
  begin();
  await shows(0);
  player.seek(1_000.5);
  await shows(1_000);
  assert.deepEqual(shown, range(971, 1_000));
  player.currentTime = 1_001.2;
  await shows(1_001);
  player.currentTime = 1_002.9;
  await shows(1_002);
  assert.deepEqual(shown, range(971, 1_002));
});

test('a seek back, and one that no event tells of, begin anew', async () => {
  begin();
  player.seek(2_000);
  await shows(2_000);
  player.seek(50);
  await shows(50);
  assert.deepEqual(shown, range(20, 50));
  player.currentTime = 3_000;
  await shows(3_000);
  assert.deepEqual(shown, range(2_970, 3_000));
});

test('pages are loaded ahead, so that none is missing between two', async () => {
  begin();
  await shows(0);
  // So fast that 40 s are no jump, however soon one tick follows another.
  player.playbackRate = 1_000_000;
  for (let second = 0; second <= 1_600; second += 40) {
    player.currentTime = second;
    await shows(second);
  }
  assert.deepEqual(shown, range(0, 1_600));
  assert.ok(requests.filter(({ query }) => query.has('after')).length >= 3);
});

test('a player that is faster than the pages come gets the chat late, and whole', async () => {
  player.playbackRate = 1_000_000;
  before = () => (player.currentTime += 600);
  begin();
  while (!states.some(([state]) => state === 'playing')) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(requests.length, 1, 'the first page is shown before the next one is there');
  assert.deepEqual(shown, range(0, 499));
  let release;
  before = () => new Promise((resolve) => (release = resolve));
  while (states.at(-1)[0] !== 'loading') await new Promise((resolve) => setTimeout(resolve, 5));
  before = () => {};
  release();
  player.currentTime = 3_599;
  await shows(3_599);
  assert.deepEqual(shown, range(0, 3_599));
  assert.ok(states.slice(1).some(([state]) => state === 'playing'));
});

test('an offset moves the chat against the player', async () => {
  begin({ offsetMs: 10_000 });
  await shows(10);
  replay.offsetMs = -5_000;
  player.seek(60);
  await shows(55);
  assert.equal(replay.timeMs, 55_000);
});

test('a token that has expired is replaced, an outage passes, and a refusal ends it', async () => {
  refusals = [
    [401, { detail: 'The token has expired.' }],
    [503, { detail: 'MongoDB is unreachable.' }],
  ];
  begin();
  await shows(0);
  assert.deepEqual(
    requests.slice(0, 3).map(({ token }) => token),
    ['Bearer old', 'Bearer new', 'Bearer old'],
  );
  assert.deepEqual(states, [
    ['loading', undefined],
    ['failed', 'MongoDB is unreachable.'],
    ['playing', undefined],
  ]);
  refusals = [[404, { detail: 'There is no such broadcast.' }]];
  player.seek(100);
  while (states.at(-1)[0] !== 'failed') await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(states.at(-1)[1], 'There is no such broadcast.');
  assert.deepEqual(shown, [0]);
});

test('the end is told, and a closed replay hands out nothing', async () => {
  begin();
  player.seek(3_595);
  await shows(3_595);
  player.currentTime = 3_596.5;
  await shows(3_596);
  player.seek(3_599);
  await shows(3_599);
  while (states.at(-1)[0] !== 'ended') await new Promise((resolve) => setTimeout(resolve, 5));
  replay.close();
  player.seek(10);
  await new Promise(setImmediate);
  assert.equal(shown.at(-1), 3_599);
});
