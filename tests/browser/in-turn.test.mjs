// The order of the console's requests for figures.

import assert from 'node:assert/strict';
import test from 'node:test';

import { inTurn } from '../../console/assets/in-turn.js';

test('requests are made one after another, and one that fails stops none', async () => {
  const happened = [];
  const request = (name, outcome) => async () => {
    happened.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    happened.push(`${name} ends`);
    return outcome();
  };
  const refused = () => {
    throw new Error('refused');
  };
  const answers = [
    inTurn(request('one', () => 1)),
    inTurn(request('two', refused)),
    inTurn(request('three', () => 3)),
  ];
  const outcomes = await Promise.allSettled(answers);
  assert.deepEqual(
    outcomes.map(({ value, reason }) => value ?? reason.message),
    [1, 'refused', 3],
  );
  const expected = ['one', 'two', 'three'].flatMap((name) => [`${name} begins`, `${name} ends`]);
  assert.deepEqual(happened, expected);
});
