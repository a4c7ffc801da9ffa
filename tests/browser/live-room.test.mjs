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
