// reader.js against a server that says what the test tells it: `node --test tests/browser/*.test.mjs`. With a real delivery node
// its stream is tested in tests/delivery/readers.rs.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { readRoom } from '../../delivery/js/reader.js';

let server;
let url;
/** What each connection is answered, in turn. */
let answers;
let requests;
let reader;

const welcome = (position, recovered = true) =>
  `retry: 1000\nevent: welcome\nid: ${position}\ndata: {"position":"${position}","recovered":${recovered},"keepaliveSeconds":20}\n\n`;
const event = (number) => `id: p${number}\ndata: {"position":"p${number}","id":"id${number}","type":"message.posted"}\n\n`;

beforeEach(async () => {
  [answers, requests] = [[], []];
  server = createServer((request, response) => {
    requests.push({ url: request.url, headers: request.headers });
    const answer = answers.shift() ?? { status: 404, problem: { detail: 'no more answers' } };
    if (answer.problem) {
      response.writeHead(answer.status, { 'Content-Type': 'application/problem+json', ...answer.headers });
      response.end(JSON.stringify(answer.problem));
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (const chunk of answer.chunks) response.write(chunk);
    if (!answer.stays) response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${server.address().port}`;
});

afterEach(async () => {
  reader?.close();
  server.closeAllConnections();
  server.close();
});

/** Reads until `done(seen)`. */
const read = (options, done) =>
  new Promise((resolve) => {
    const seen = { ids: [], gaps: [], states: [], tokens: [] };
    const look = () => done(seen) && resolve(seen);
    reader = readRoom({
      url,
      room: 42,
      getToken: (asked) => (seen.tokens.push(asked.expired), asked.expired ? 'new' : 'old'),
      onEvent: ({ id }) => (seen.ids.push(id), look()),
      onGap: () => (seen.gaps.push(seen.ids.length), look()),
      onStatus: ({ state }) => (seen.states.push(state), look()),
      ...options,
    });
  });

test('it goes on after the last event, wherever the stream broke, and hands out each event once', async () => {
  const bytes = Buffer.from(welcome('p0') + event(1) + event(2));
  answers = [
    // Cut within an event: it counts as not received.
    { chunks: [bytes.subarray(0, 60), bytes.subarray(60, bytes.length - 10)] },
    { chunks: [welcome('p1'), event(1), event(2), 'event: keepalive\nid: p9\ndata: {"position":"p9"}\n\n'] },
    { chunks: [welcome('p9'), event(10)], stays: true },
  ];
  const seen = await read({}, ({ ids }) => ids.length === 3);
  assert.deepEqual(seen.ids, ['id1', 'id2', 'id10']);
  assert.deepEqual(seen.gaps, []);
  const last = requests.map(({ headers }) => headers['last-event-id']);
  assert.deepEqual(last, [undefined, 'p1', 'p9']);
  assert.equal(requests[0].url, '/v1/rooms/42/events?from=now');
  assert.equal(requests[0].headers.authorization, 'Bearer old');
});

test('a text that is cut within a character is put together', async () => {
  const bytes = Buffer.from('id: p1\ndata: {"position":"p1","id":"안녕","type":"message.posted"}\n\n');
  const at = bytes.indexOf(Buffer.from('안')) + 1;
  answers = [{ chunks: [welcome('p0'), bytes.subarray(0, at), bytes.subarray(at)], stays: true }];
  assert.deepEqual((await read({}, ({ ids }) => ids.length === 1)).ids, ['안녕']);
});

test('a text with a line separator of Unicode, which ends no line of a stream, is read whole', async () => {
  const text = JSON.stringify({ position: 'p1', id: 'one\u2028two\u2029', type: 'message.posted' });
  answers = [{ chunks: [welcome('p0'), `id: p1\ndata: ${text}\n\n`], stays: true }];
  assert.deepEqual((await read({}, ({ ids }) => ids.length === 1)).ids, ['one\u2028two\u2029']);
});

test('a gap is told at its place', async () => {
  answers = [{ chunks: [welcome('p0'), event(1)] }, { chunks: [welcome('p5', false), event(6)], stays: true }];
  const seen = await read({}, ({ ids }) => ids.length === 2);
  assert.deepEqual(seen.gaps, [1]);
});

test('a token that has expired is replaced, and one that is refused twice ends it', async () => {
  const unauthorised = { status: 401, problem: { detail: 'The token has expired.' } };
  answers = [
    { chunks: [welcome('p0'), event(1), 'event: expired\ndata: {}\n\n'] },
    { chunks: [welcome('p1'), event(2)] },
    unauthorised,
    unauthorised,
  ];
  const seen = await read({}, ({ states }) => states.includes('stopped'));
  assert.deepEqual(seen.ids, ['id1', 'id2']);
  assert.deepEqual(seen.tokens, [false, true, false, true]);
  assert.equal(reader.status.reason, 'The token has expired.');
});

test('a ticket is asked for before every connection, and takes the place of a token', async () => {
  answers = [{ chunks: [welcome('p0'), event(1)] }, { chunks: [welcome('p1'), event(2)], stays: true }];
  let tickets = 0;
  const getTicket = async () => `once_${++tickets}`;
  const seen = await read({ getToken: undefined, getTicket }, ({ ids }) => ids.length === 2);
  assert.deepEqual(seen.ids, ['id1', 'id2']);
  assert.deepEqual(
    requests.map(({ url, headers }) => [new URL(url, 'http://node').searchParams.get('ticket'), headers.authorization]),
    [['once_1', undefined], ['once_2', undefined]],
  );
});

test('what another attempt would not change ends it, and an overload does not', async () => {
  answers = [
    { status: 503, problem: { detail: 'Too many readers.' } },
    { chunks: [welcome('p0'), event(1)] },
    { status: 403, problem: { detail: 'Not yours.' } },
  ];
  const seen = await read({}, ({ states }) => states.includes('stopped'));
  assert.deepEqual(seen.ids, ['id1']);
  assert.deepEqual([reader.status.state, reader.status.reason], ['stopped', 'Not yours.']);
  assert.equal(requests.length, 3);
});

test('a page that throws still gets the next event, and none after it closed', async () => {
  const errors = [];
  globalThis.reportError = (error) => errors.push(error.message);
  answers = [{ chunks: [welcome('p0'), event(1), event(2), event(3)], stays: true }];
  const ids = [];
  await new Promise((resolve) => {
    reader = readRoom({
      url,
      room: 42,
      getToken: () => 'token',
      onEvent: ({ id }) => {
        ids.push(id);
        if (ids.length === 2) {
          reader.close();
          resolve();
        }
        throw new Error(id);
      },
    });
  });
  await new Promise(setImmediate);
  assert.deepEqual(ids, ['id1', 'id2']);
  assert.deepEqual(errors, ['id1', 'id2']);
  assert.equal(reader.status.state, 'closed');
  delete globalThis.reportError;
});
