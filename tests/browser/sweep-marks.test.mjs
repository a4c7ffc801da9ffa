// Which messages of the stream a sweep would delete, as far as its dry run says.

import assert from 'node:assert/strict';
import test from 'node:test';

import { similarTo } from '../../console/assets/similarity.js';
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
  ['the text of a named message, by a condition of a later version', { shape: 'A' }, { text: 'RAID' }, true],
  ['a similar text', { texts: ['raid'], similarity: 0.8 }, { text: 'Raids' }, true],
  ['a text that is not similar enough', { texts: ['raid'], similarity: 0.9 }, { text: 'raids' }, false],
  ['a similar text of a moderator', { texts: ['raid'], similarity: 0.8 }, { user: { ...viewer, role: 'moderator' } }, false],
  ['a similar text of which only the server knows', { texts: ['raid'], similarity: 0.8 }, { text: 'ｒaids' }, false],
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

test('a text is as similar as for the server', () => {
  for (const [one, other, percent] of [
    ['night', 'nacht', 0],
    ['come to my room', 'Come to MY room', 100],
    ['come to my room', 'come to my room 17', 90],
    ['come to my room', 'come 2 my room!!', 75],
    ['come to my room', 'what a goal', 0],
    ['내 방으로 오세요', '내 방으로 오세요 12', 84],
    ['ㅋㅋㅋㅋ', 'ㅋㅋㅋㅋㅋㅋㅋㅋ', 60],
    ['abab', 'baba', 66],
    ['a', 'a', 100],
    ['a', 'b', 0],
    ['a', 'ab', 0],
  ]) {
    const grades = Array.from({ length: 51 }, (_, at) => 100 - at);
    const found = grades.find((grade) => similarTo(['something else', one], grade / 100)(other)) ?? 0;
    assert.equal(found, percent, `${one} and ${other}`);
  }
});
