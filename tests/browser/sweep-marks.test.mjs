// Which messages of the stream a sweep would delete, as far as its dry run says.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Marks } from '../../console/assets/sweep-marks.js';

const now = Date.parse('2026-11-30T12:00:00Z');
const viewer = { idx: 7, nickname: 'viewer', role: 'viewer' };

function message(changed) {
  return { id: 'm', user: viewer, text: 'raid', sentAt: '2026-11-30T11:59:00Z', flags: [], ...changed };
}

/** Whether the message is marked, by a sweep of two minutes whose dry run named these messages. */
function marks(rule, latest, changed) {
  return new Marks({ rule, secondsBack: 120 }, latest).has(message(changed), now);
}

test('a message that the dry run names is marked, unless it is deleted already', () => {
  const named = [{ id: 'm', text: 'RAID' }];
  assert.equal(marks({ texts: ['raid'] }, named, { text: 'RAID' }), true);
  assert.equal(marks({ texts: ['raid'] }, named, { text: undefined, deleted: {} }), false);
});

for (const [what, rule, changed, isMarked] of [
  ['the text of the rule', { texts: ['raid'] }, {}, true],
  ['the text of a named message', { texts: ['Raid'] }, { text: 'RAID' }, true],
  ['the text of a named message, by a condition of a later version', { similarity: 0.8 }, { text: 'RAID' }, true],
  ['another text', { texts: ['raid'] }, { text: 'hello' }, false],
  ['a moderator', { texts: ['raid'] }, { user: { ...viewer, role: 'moderator' } }, false],
  ['a moderator whom the rule names', { users: [7] }, { user: { ...viewer, role: 'moderator' } }, true],
  ['a user whom the rule names', { users: [7] }, { text: 'hello' }, true],
  ['another user than the rule names', { users: [8] }, {}, false],
  ['the user, but not the text', { users: [7], texts: ['raid'] }, { text: 'hello' }, false],
  ['the label', { label: 'ko.abuse' }, { flags: ['ko.abuse'], text: 'hello' }, true],
  ['another label', { label: 'ko.abuse' }, { flags: ['room'] }, false],
  ['a notice', { users: [7] }, { notice: true }, false],
  ['an older message', { texts: ['raid'] }, { sentAt: '2026-11-30T11:57:00Z' }, false],
]) {
  test(`${what}: ${isMarked ? 'marked' : 'not marked'}`, () => {
    assert.equal(marks(rule, [{ id: 'another', text: 'RAID' }], changed), isMarked);
  });
}
