// When a request is sent again, under which key, and what an error says: `npm test`.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { afterEach, test } from 'node:test';

import { Archive, Gateway, Ingest, RateLimited, Refused, Unavailable } from '../../api/index.js';
import { ACCEPTED, LOST, SILENCE, chunks, fake, ok, problem } from './fake.mjs';

const ACCEPT = ok(ACCEPTED, 202);

let role;
afterEach(() => role?.close());

async function ingest(replies, options = {}) {
  role = await fake(...replies);
  return new Ingest({ url: role.url, token: 'token', ...options });
}

const keys = () => role.requests.map(({ headers }) => headers['idempotency-key']);

test('a lost answer is asked for again under the same key', async () => {
  const posted = await (await ingest([LOST, ACCEPT])).post(1, '안녕하세요');
  assert.deepEqual(posted, ACCEPTED);
  assert.deepEqual(
    role.requests.map(({ body }) => body),
    [{ text: '안녕하세요' }, { text: '안녕하세요' }],
  );
  assert.equal(keys()[0], keys()[1]);
});

test('each message has a key of its own unless it is given', async () => {
  const client = await ingest([ACCEPT]);
  await client.post(1, 'a');
  await client.post(1, 'a');
  await client.post(1, 'a', { idempotencyKey: 'mine' });
  assert.equal(new Set(keys()).size, 3);
  assert.equal(keys()[2], 'mine');
});

test('it does not come back before Retry-After', async () => {
  const pauses = [];
  const refusal = problem(503, 'log_unavailable', { outcome: 'not_stored', retryAfter: 1 });
  await (await ingest([refusal, ACCEPT], { onRetry: (_, waitMs) => pauses.push(waitMs) })).post(1, 'a');
  assert.equal(pauses.length, 1);
  assert.ok(pauses[0] >= 1_000, String(pauses));
});

test('it gives up when the patience is at its end, and says what became of the message', async () => {
  const refusal = problem(503, 'log_unavailable', { outcome: 'not_stored', retryAfter: 7 });
  const client = await ingest([refusal], { patienceMs: 2_000 });
  await assert.rejects(client.post(1, 'a', { idempotencyKey: 'mine' }), (error) => {
    assert.ok(error instanceof Unavailable);
    const { status, code, retryAfterMs, outcome, idempotencyKey } = error;
    assert.deepEqual([status, code, retryAfterMs], [503, 'log_unavailable', 7_000]);
    assert.deepEqual([outcome, idempotencyKey], ['not_stored', 'mine']);
    return true;
  });
  assert.equal(role.requests.length, 1);
});

test('after a lost answer the outcome stays unknown', async () => {
  const client = await ingest([LOST, problem(503, 'log_full', { outcome: 'not_stored', retryAfter: 7 })], {
    patienceMs: 2_000,
  });
  await assert.rejects(client.post(1, 'a'), { name: 'Unavailable', outcome: 'unknown' });
});

test("a proxy's page is not taken for an acceptance", async () => {
  const client = await ingest([ok('<html>welcome to the hotel</html>'), ACCEPT]);
  assert.deepEqual(await client.post(1, 'a'), ACCEPTED);
});

test('a refusal is final', async () => {
  const client = await ingest([problem(409, 'room_not_live')]);
  const expected = {
    name: 'Refused',
    code: 'room_not_live',
    outcome: undefined,
    message: '409 room_not_live: room_not_live.',
  };
  await assert.rejects(client.post(1, 'a'), expected);
  assert.equal(role.requests.length, 1);
});

test('a refusal after a lost answer is looked up', async () => {
  const found = { id: ACCEPTED.id, position: '1-1-0' };
  const client = await ingest([LOST, problem(429, 'msg_slow_mode', { retryAfter: 9 }), ok(found)]);
  assert.deepEqual(await client.post(1, 'a', { idempotencyKey: 'mine' }), found);
  const { method, target } = role.requests[2];
  assert.deepEqual([method, target, keys()[2]], ['GET', '/v1/rooms/1/requests', 'mine']);
});

test('a refusal whose message is not there stands', async () => {
  const client = await ingest([LOST, problem(403, 'msg_banned'), problem(404, 'request_not_found')]);
  await assert.rejects(client.post(1, 'a'), { name: 'Refused', code: 'msg_banned', outcome: undefined });
});

test('a look-up that fails leaves the outcome unknown', async () => {
  const client = await ingest([LOST, problem(403, 'msg_banned'), problem(429, 'read_rate_limited', { retryAfter: 1 })]);
  await assert.rejects(client.post(1, 'a'), { name: 'Refused', code: 'msg_banned', outcome: 'unknown' });
});

test('a decision about every room is looked up there', async () => {
  const client = await ingest([LOST, problem(409, 'too_many_bans'), ok(ACCEPTED)]);
  assert.deepEqual(await client.banEverywhere(7), ACCEPTED);
  assert.equal(role.requests[2].target, '/v1/requests');
});

test('a rate limit is thrown or waited for', async () => {
  const refusal = problem(429, 'msg_rate_limited', { retryAfter: 1 });
  await assert.rejects((await ingest([refusal])).post(1, 'a'), (error) => {
    assert.ok(error instanceof RateLimited && error instanceof Refused);
    assert.equal(error.retryAfterMs, 1_000);
    return true;
  });
  role.close();
  assert.deepEqual(await (await ingest([refusal, ACCEPT], { retryRateLimits: true })).post(1, 'a'), ACCEPTED);
});

test('an expired token is renewed once', async () => {
  const token = ({ expired }) => (expired ? 'new' : 'old');
  await (await ingest([problem(401, 'token_expired'), ACCEPT], { token })).post(1, 'a');
  assert.deepEqual(
    role.requests.map(({ headers }) => headers.authorization),
    ['Bearer old', 'Bearer new'],
  );
  role.close();
  await assert.rejects((await ingest([problem(401, 'token_expired')], { token })).post(1, 'a'), {
    code: 'token_expired',
  });
  assert.equal(role.requests.length, 2);
});

test('a token function that fails ends the call', async () => {
  const token = () => Promise.reject(new Error('signed out'));
  await assert.rejects((await ingest([ACCEPT], { token })).post(1, 'a'), { message: 'signed out' });
  assert.equal(role.requests.length, 0);
});

test('a signal ends the retries', async () => {
  const stop = new AbortController();
  const client = await ingest([problem(503, 'overloaded', { retryAfter: 9 })], {
    onRetry: () => stop.abort(new Error('enough')),
  });
  await assert.rejects(client.post(1, 'a', { signal: stop.signal }), { message: 'enough' });
});

test('a signal ends a request that is not answered', async () => {
  const stop = new AbortController();
  const client = await ingest([SILENCE], {
    token: () => setImmediate(() => stop.abort(new Error('enough'))) && 'token',
  });
  await assert.rejects(client.post(1, 'a', { signal: stop.signal }), { message: 'enough' });
});

test('pages are followed, also through an empty one, and wide numbers stay apart', async () => {
  const wide = '{"messages":[{"id":"a","user":{"idx":9007199254740993}}],"next":"x"}';
  role = await fake(ok(wide), ok({ messages: [], next: 'y' }), ok({ messages: [{ id: 'b' }] }));
  const messages = [];
  for await (const message of new Archive({ url: role.url }).search({ room: 42, text: 'ㅋㅋ &' }))
    messages.push(message);
  assert.deepEqual(messages, [{ id: 'a', user: { idx: '9007199254740993' } }, { id: 'b' }]);
  assert.match(role.requests[0].target, /text=%E3%85%8B%E3%85%8B\+%26/);
  assert.match(role.requests[2].target, /after=y$/);
});

test('an export has each message once although the connection breaks', async () => {
  const line = (second) => `{"id":"id${second}","sentAt":"2026-03-01T15:00:${String(second).padStart(2, '0')}.000Z"}\n`;
  const lines = (from, to) => Array.from({ length: to - from }, (_, index) => line(from + index));
  const gap = { stream: 'CHAT_0', batches: 20, before: '2026-03-01T15:05:00.000Z' };
  const head = `${JSON.stringify({ gap })}\n`;
  role = await fake(chunks([head, ...lines(0, 20), '{"id":'], { isWhole: false }), chunks([head, ...lines(9, 30)]));
  const found = new Archive({ url: role.url }).export({ room: 42 });
  const ids = [];
  for await (const { id } of found) ids.push(id);
  assert.deepEqual(
    ids,
    Array.from({ length: 30 }, (_, second) => `id${second}`),
  );
  assert.deepEqual(found.gaps, [gap]);
  assert.match(role.requests[1].target, /from=2026-03-01T15%3A00%3A09/);
});

test('a file says what the archive misses, and fails if it is not whole', async () => {
  const headers = { 'Archive-Gaps': '20;after="2026-03-01T15:00:00.000Z", 1' };
  role = await fake(chunks(['id,text\n'], { headers }), chunks(['id,te'], { isWhole: false }));
  const archive = new Archive({ url: role.url });
  const whole = await archive.exportFile({ user: 7, format: 'csv', from: new Date(0) });
  assert.deepEqual(whole.gaps, [{ batches: 20, after: '2026-03-01T15:00:00.000Z' }, { batches: 1 }]);
  assert.equal(await new Response(whole.body).text(), 'id,text\n');
  assert.equal(role.requests[0].target, '/v1/users/7/export?format=csv&from=1970-01-01T00%3A00%3A00.000Z');
  const broken = await archive.exportFile({ room: 42 });
  await assert.rejects(new Response(broken.body).text());
});

test("a gateway's signature covers the request and the identity", async () => {
  const client = await ingest([ACCEPT]);
  const user = new Gateway('secret').user({ idx: 42, email: 'a@b.c', nickname: '가 +', scope: 'chat:moderate' });
  await client.withToken(user).post(42, '안녕');
  const { headers } = role.requests[0];
  const [, time, signature] = /^t=(\d+),v2=([0-9a-f]{64})$/.exec(headers['x-forward-signature']);
  const digest = `sha-256=:${createHash('sha256').update('{"text":"안녕"}').digest('base64')}:`;
  const lines = [
    'v2',
    time,
    'POST',
    '/v1/rooms/42/messages',
    digest,
    '42',
    'a%40b.c',
    '%EA%B0%80+%2B',
    'chat%3Amoderate',
  ];
  assert.equal(headers['content-digest'], digest);
  assert.equal(signature, createHmac('sha256', 'secret').update(lines.join('\n')).digest('hex'));
  assert.equal(headers.authorization, undefined);

  await client.withToken(user).clear(42, { reason: 'a b' });
  const { headers: again, target } = role.requests[1];
  const [, later, mac] = /^t=(\d+),v2=(\w+)$/.exec(again['x-forward-signature']);
  const text = ['v2', later, 'DELETE', target, '', '42', 'a%40b.c', '%EA%B0%80+%2B', 'chat%3Amoderate'].join('\n');
  assert.equal(target, '/v1/rooms/42/messages?reason=a+b');
  assert.equal(mac, createHmac('sha256', 'secret').update(text).digest('hex'));
});

test('what cannot be right is refused before it is sent', () => {
  for (const url of ['chat.example.com', 'ftp://chat.example.com', 'https://chat.example.com/?a=b']) {
    assert.throws(() => new Ingest({ url }), TypeError);
  }
  assert.throws(() => new Ingest({ url: 'https://chat.example.com', patienceMs: 600_001 }), RangeError);
  assert.throws(() => new Archive({ url: 'https://chat.example.com' }).search({}), TypeError);
});
