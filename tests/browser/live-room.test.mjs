// What the console knows of a room: its pinned message and its open reports.

import assert from 'node:assert/strict';
import test from 'node:test';

import { LiveRoom } from '../../console/assets/live-room.js';

const at = new Date().toISOString();
const user = { idx: 7, nickname: 'viewer', role: 'viewer' };

function roomWithAPin() {
  const room = new LiveRoom();
  room.apply({ type: 'message.posted', id: 'm', at, user, text: 'hi' });
  room.apply({ type: 'message.pinned', id: 'p', target: 'm', at });
  return room;
}

for (const event of [
  { type: 'user.banned', user: 7, presenterIdx: 42, purgeSeconds: 300, at },
  { type: 'user.erased', user: 7, at },
]) {
  test(`${event.type} hides the pinned message with the author's others`, () => {
    const room = roomWithAPin();
    room.apply(event);
    assert.equal(room.pinned, null);
  });
}

test('a ban without a purge keeps the pinned message', () => {
  const room = roomWithAPin();
  room.apply({ type: 'user.banned', user: 7, presenterIdx: 42, at });
  assert.equal(room.pinned, 'm');
});

test('a report that was closed is not counted from an older list', () => {
  const room = roomWithAPin();
  room.apply({ type: 'message.reported', target: 'm', at });
  room.apply({ type: 'report.closed', target: 'm', at });
  room.addReports([{ message: { id: 'm', user } }]);
  assert.equal(room.reported, 0);
});

test('a report after the closing counts', () => {
  const room = roomWithAPin();
  room.apply({ type: 'report.closed', target: 'm', at });
  room.apply({ type: 'message.reported', target: 'm', at });
  assert.equal(room.reported, 1);
});

test('a sweep says how many messages it has deleted', () => {
  const room = roomWithAPin();
  room.apply({ type: 'message.posted', id: 'n', at, user, text: 'hi' });
  for (const target of ['m', 'n']) room.apply({ type: 'message.deleted', id: `d${target}`, target, sweep: 's', at });
  assert.deepEqual([...room.messages()].map(({ deleted }) => deleted !== null), [true, true]);
  assert.equal(room.apply({ type: 'room.swept', id: 's', at }).item.event.messages, 2);
});

test('a pinned message that a sweep has hidden is pinned again once the sweep is undone', () => {
  const room = roomWithAPin();
  room.apply({ type: 'message.deleted', id: 'd', target: 'm', sweep: 's', at });
  assert.equal(room.pinned, null);
  room.apply({ type: 'message.restored', id: 'r', target: 'm', sweep: 's', message: { text: 'hi' }, at });
  assert.equal(room.pinned, 'm');
});

for (const event of [
  { type: 'message.unpinned', id: 'u', at },
  { type: 'message.deleted', id: 'd2', target: 'm', at },
  { type: 'room.cleared', id: 'c', at },
]) {
  test(`${event.type} unpins a message that a sweep hides`, () => {
    const room = roomWithAPin();
    room.apply({ type: 'message.deleted', id: 'd', target: 'm', sweep: 's', at });
    room.apply(event);
    room.apply({ type: 'message.restored', id: 'r', target: 'm', at });
    assert.equal(room.pinned, null);
  });
}
