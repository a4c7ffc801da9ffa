// The client against a running system: `cargo test --features node --test it clients::` starts it, and names it in the
// environment. Room 1 has a played broadcast.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { Archive, Gateway, Ingest } from '@chatting-server/web/api';
import { readRoom } from '@chatting-server/web/reader';
import { token } from './token.mjs';

const { CHATTING_INGEST, CHATTING_DELIVERY, CHATTING_ARCHIVE, CHATTING_GATEWAY_SECRET } = process.env;

/** Rooms and users of this run, so that it can be repeated. */
const base = 1_000 + 1_000 * Math.floor(1e9 * Math.random());
const [READ, LOST, MODERATED, ERASED, SIGNED, BANNED, LEAVING] = Array.from({ length: 7 }, (_, index) => base + index);

/** Longer than any part of the system takes on a busy machine. */
const PATIENCE_MS = 30_000;

const ingestAs = (user, scope, options) => new Ingest({ url: CHATTING_INGEST, token: token(user, scope), ...options });
const archiveAs = (user, scope) => new Archive({ url: CHATTING_ARCHIVE, token: token(user, scope) });

async function all(iterable) {
  const found = [];
  for await (const entry of iterable) found.push(entry);
  return found;
}

const ids = (entries) => entries.map(({ id }) => id);

async function eventually(probe) {
  for (const deadline = performance.now() + PATIENCE_MS; ; await setTimeout(20)) {
    const found = await probe();
    if (found) return found;
    assert.ok(performance.now() < deadline, `not within ${PATIENCE_MS} ms: ${probe}`);
  }
}

const archived = (archive, room, count) =>
  eventually(async () => {
    const found = await all(archive.search({ room, deleted: 'include' }));
    return found.length >= count && found;
  });

test('a message is posted, read and archived', async () => {
  const read = [];
  const posted = [];
  let isLive = false;
  const reader = readRoom({
    url: CHATTING_DELIVERY,
    room: READ,
    getToken: () => token(READ),
    from: 'window',
    // Decisions about every room are among its events.
    onEvent: (event) => event.type === 'message.posted' && read.push(event),
    onStatus: ({ state }) => (isLive ||= state === 'live'),
  });
  await eventually(() => isLive);
  for (let number = 0; number < 20; number++) posted.push(await ingestAs(42).post(READ, `안녕하세요 ${number}`));
  await eventually(() => read.length >= 20);
  reader.close();
  assert.deepEqual(ids(read), ids(posted));
  assert.deepEqual(ids(await archived(archiveAs(READ), READ, 20)), ids(posted));
});

test('a message whose answer was lost stays one message', async () => {
  let lost = 0;
  const reasons = [];
  const client = ingestAs(42, undefined, {
    onRetry: (error) => reasons.push(error.detail),
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      if (lost++ === 0) throw new Error('the answer was lost (on purpose)');
      return answer;
    },
  });
  const { id, position } = await client.post(LOST, 'once', { idempotencyKey: 'once' });
  assert.deepEqual(reasons, ['no answer: the answer was lost (on purpose)']);
  assert.deepEqual(ids(await archived(archiveAs(LOST), LOST, 1)), [id]);
  assert.deepEqual(await client.lookUp(LOST, 'once'), { id, position });
  assert.equal(await client.lookUp(LOST, 'never'), null);
});

test('a moderator moderates', async () => {
  const [viewer, presenter, moderator] = [ingestAs(42), ingestAs(MODERATED), ingestAs(9, 'chat:moderate')];
  const message = await viewer.post(MODERATED, 'buy my stuff');
  await moderator.deleteMessage(MODERATED, message.id, { reason: 'advertising' });
  await presenter.ban(MODERATED, 42, { seconds: 600, reason: 'advertising' });
  await assert.rejects(
    viewer.post(MODERATED, 'hello?'),
    (error) => error.code === 'msg_banned' && 'until' in error.problem,
  );
  assert.deepEqual(
    (await all(presenter.bans(MODERATED))).map(({ user }) => user),
    [42],
  );
  assert.equal((await presenter.getBan(MODERATED, 42)).reason, 'advertising');
  await presenter.unban(MODERATED, 42);
  assert.equal(await presenter.getBan(MODERATED, 42), null);
  await assert.rejects(presenter.unban(MODERATED, 42), { name: 'Refused', status: 404, code: 'not_banned' });

  await moderator.banEverywhere(BANNED, { seconds: 60 });
  assert.ok((await all(moderator.bansEverywhere())).some(({ user }) => user === BANNED));
  assert.ok(await moderator.getBanEverywhere(BANNED));
  await moderator.unbanEverywhere(BANNED, { idempotencyKey: `unban-${BANNED}` });
  assert.ok(await moderator.lookUpEverywhere(`unban-${BANNED}`));

  await presenter.addModerator(MODERATED, 8, { reason: 'helps on Fridays' });
  assert.deepEqual(
    (await all(presenter.moderators(MODERATED))).map(({ user }) => user),
    [8],
  );
  await ingestAs(8).clear(MODERATED);
  await presenter.removeModerator(MODERATED, 8);
  assert.equal(await presenter.getModerator(MODERATED, 8), null);

  await presenter.changeSettings(MODERATED, { slowModeSeconds: 10 }, { seconds: 300 });
  assert.deepEqual((await presenter.getSettings(MODERATED)).own, { slowModeSeconds: 10 });
  await presenter.changeSettings(MODERATED, { slowModeSeconds: null });
  const archive = archiveAs(MODERATED);
  const types = await eventually(async () => {
    const found = (await all(archive.decisions({ room: MODERATED }))).map(({ type }) => type);
    return found.filter((type) => type === 'room.updated').length === 2 && found;
  });
  assert.deepEqual(types.slice(0, 3), ['message.deleted', 'user.banned', 'user.unbanned']);
  // A decision is listed before the messages that it is about are marked.
  await eventually(async () => (await archive.getMessage(MODERATED, message.id)) === null);
});

test('a played broadcast is searched, exported, measured and replayed', async () => {
  const archive = archiveAs(7, 'chat:read');
  const messages = await all(archive.search({ room: 1, pageSize: 100 }));
  assert.ok(messages.length > 300, String(messages.length));
  const found = archive.export({ room: 1 });
  assert.deepEqual(await all(found), messages);
  assert.deepEqual(found.gaps, []);
  const [{ user }] = messages;
  const own = messages.filter((message) => message.user.idx === user.idx);
  assert.deepEqual(ids(await all(archive.export({ user: user.idx }))), ids(own));

  const csv = await archive.exportFile({ room: 1, format: 'csv' });
  assert.equal((await new Response(csv.body).text()).trimEnd().split('\r\n').length, messages.length + 1);
  const [broadcast] = await all(archive.broadcasts(1));
  assert.equal((await archive.getBroadcast(1, broadcast.id)).messages, broadcast.messages);
  const vtt = await archive.exportBroadcast(1, broadcast.id, { format: 'webvtt' });
  assert.match(await new Response(vtt.body).text(), /^WEBVTT/);

  const span = { from: new Date(Date.parse(messages[0].sentAt) - 60_000), to: new Date(Date.now() + 60_000) };
  const statistics = await archive.statistics(1, span);
  assert.equal(statistics.messages, messages.length);
  assert.equal((await archive.chatters(1, { ...span, first: 3 })).length, 3);
  assert.equal((await archive.words(1, { ...span, first: 5 })).length, 5);
  assert.deepEqual(await archive.highlights(1, span), []);
});

test('a user is erased', async () => {
  await ingestAs(LEAVING).post(ERASED, 'my address is …');
  await archived(archiveAs(ERASED), ERASED, 1);
  const privacy = archiveAs(9, 'chat:erase');
  const receipt = await privacy.erase(LEAVING);
  assert.deepEqual(
    (await privacy.erasures(LEAVING)).map(({ erasure }) => erasure),
    [receipt.erasure],
  );
  await eventually(async () => (await all(archiveAs(ERASED).search({ room: ERASED }))).length === 0);
});

test('a gateway vouches for its users', async () => {
  const ingest = new Ingest({ url: CHATTING_INGEST });
  const gateway = new Gateway(CHATTING_GATEWAY_SECRET);
  const identity = { idx: 66, email: 'a+b@example.com', nickname: '별명 +' };
  const { id } = await ingest.withToken(gateway.user(identity)).post(SIGNED, '안녕');
  const [message] = await archived(archiveAs(SIGNED), SIGNED, 1);
  assert.deepEqual([message.id, message.user.idx, message.user.nickname], [id, 66, '별명 +']);
  const forged = new Gateway('another secret, of more than 32 bytes').user(identity);
  await assert.rejects(ingest.withToken(forged).post(SIGNED, 'a'), { code: 'token_missing' });
});
