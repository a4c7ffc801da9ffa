// The pieces of time of the console's charts.

import assert from 'node:assert/strict';
import test from 'node:test';

import { bucketSeconds, busiest, withoutRest } from '../../console/assets/buckets.js';

const HOUR = 3_600_000;

test('a chart of any length has enough points and not too many', () => {
  for (const [ms, seconds] of [
    [1_000, 1],
    [600_000, 1],
    [600_001, 2],
    [2 * HOUR, 15],
    [31 * 24 * HOUR, 14_400],
    [1_000 * 24 * HOUR, 86_400],
  ]) {
    assert.equal(bucketSeconds(ms), seconds, `${ms} ms`);
  }
});

test('the busiest moment is the first of equals, by the time since the start', () => {
  const buckets = [3, 7, 0, 7].map((messages) => ({ at: '', messages, chatters: 1 }));
  assert.deepEqual(busiest(buckets, 10), { most: 7, at: 10_000 });
  assert.deepEqual(busiest([], 10), { most: 0, at: 0 });
});

test('a last bucket that is cut short is left out, unless there is no other', () => {
  const at = (seconds) => ({ at: new Date(seconds * 1_000).toISOString(), messages: 1, chatters: 1 });
  const buckets = [at(0), at(10), at(20)];
  assert.deepEqual(withoutRest(buckets, 10, 30_000), buckets);
  assert.deepEqual(withoutRest(buckets, 10, 20_001), buckets.slice(0, 2));
  assert.deepEqual(withoutRest([at(0)], 10, 1), [at(0)]);
  assert.deepEqual(withoutRest([], 10, 1), []);
});
