// The emotes in a message's text, as the console marks them.

import assert from 'node:assert/strict';
import test from 'node:test';

import { fragments } from '../../console/assets/emotes.js';

test('ranges count code points, so that no emoji before an emote moves it', () => {
  const emotes = [
    { id: 'hi', start: 1, end: 3 },
    { id: 'tada', start: 4, end: 5 },
  ];
  assert.deepEqual(fragments('🎉안녕 🎉!', emotes), [
    { text: '🎉' },
    { text: '안녕', id: 'hi' },
    { text: ' ' },
    { text: '🎉', id: 'tada' },
    { text: '!' },
  ]);
  assert.deepEqual(fragments('hi'), [{ text: 'hi' }]);
  assert.deepEqual(fragments('hi', [{ id: 'a', start: 0, end: 2 }]), [{ text: 'hi', id: 'a' }]);
});

test('a range that does not fit is left out', () => {
  const emotes = [
    { id: 'a', start: 1, end: 2 },
    { id: 'over', start: 1, end: 3 },
    { id: 'empty', start: 3, end: 3 },
    { id: 'far', start: 3, end: 9 },
    { id: 'none', start: Number.NaN, end: 3 },
  ];
  assert.deepEqual(fragments('가나다라', emotes), [{ text: '가' }, { text: '나', id: 'a' }, { text: '다라' }]);
});
