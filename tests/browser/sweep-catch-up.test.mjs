// What the console learns from the archive about a sweep of messages that have left delivery's window.

import assert from 'node:assert/strict';
import test from 'node:test';

import { LiveRoom } from '../../console/assets/live-room.js';
import { catchUp } from '../../console/assets/sweep-catch-up.js';

const user = { idx: 7, nickname: 'viewer', role: 'viewer' };
const swept = { type: 'room.swept', id: 's', at: '2026-11-30T12:00:00.000Z', secondsBack: 3_600, by: user };

/** Messages of half an hour ago, two hours ago, and now. */
function room() {
  const room = new LiveRoom();
  for (const [id, at] of [
    ['old', '2026-11-30T10:00:00.000Z'],
    ['a', '2026-11-30T11:30:00.000Z'],
    ['b', '2026-11-30T11:31:00.000Z'],
    ['new', '2026-11-30T11:59:59.000Z'],
  ]) {
    room.apply({ type: 'message.posted', id, at, user, text: 'raid' });
  }
  return room;
}

function hidden(room) {
  return [...room.messages()].filter(({ deleted }) => deleted).map(({ id }) => id);
}

test('older messages that the archive names are deleted, page by page', async () => {
  const live = room();
  const asked = [];
  const search = async (query) => {
    asked.push(query);
    return query.after ? { messages: [{ id: 'old' }, { id: 'b' }] } : { messages: [{ id: 'a' }], next: 'n' };
  };
  await catchUp({ event: swept, live, search, apply: (event) => live.apply(event) });
  assert.deepEqual(hidden(live), ['a', 'b']);
  const { from, to, decision, after } = asked[1];
  assert.deepEqual([from, to], ['2026-11-30T11:30:00.000Z', '2026-11-30T11:31:00.001Z']);
  assert.deepEqual([decision, after], ['s', 'n']);
});

test('a stream without older messages asks the archive nothing', async () => {
  const search = () => assert.fail('it asks');
  await catchUp({ event: { ...swept, secondsBack: 60 }, live: room(), search, apply: assert.fail });
  const undone = { type: 'sweep.undone', id: 'u', target: 's', at: swept.at };
  await catchUp({ event: undone, live: room(), search, apply: assert.fail });
});

test('what an undone sweep still hides is shown again if the archive shows it', async () => {
  const live = room();
  for (const target of ['a', 'b']) live.apply({ type: 'message.deleted', target, sweep: 's', at: swept.at });
  live.apply({ type: 'message.deleted', target: 'new', sweep: 'another', at: swept.at });
  const search = async ({ decision }) => {
    assert.equal(decision, undefined);
    return { messages: [{ id: 'b', text: 'raid' }, { id: 'new', text: 'raid' }] };
  };
  const undone = { type: 'sweep.undone', id: 'u', target: 's', at: swept.at };
  await catchUp({ event: undone, live, search, apply: (event) => live.apply(event) });
  assert.deepEqual(hidden(live), ['a', 'new']);
  assert.equal(live.message('b').text, 'raid');
});
