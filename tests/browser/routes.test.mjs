// The addresses of the console's views.

import assert from 'node:assert/strict';
import test from 'node:test';

import { address, parse } from '../../console/assets/routes.js';

test('an address names its view again', () => {
  for (const route of [
    { view: 'home', query: {} },
    { view: 'operator', query: {} },
    { view: 'live', room: '42', query: {} },
    { view: 'search', room: '42', query: { text: 'a&b=c d#é', order: 'desc' } },
    { view: 'broadcast', room: '42', broadcast: '019ab5a0-8000-7000-8000-000000000005', query: { with: 'an-id' } },
    { view: 'replay', room: '42', broadcast: 'an-id', query: { t: '1000' } },
  ]) {
    const found = parse(address(route));
    assert.deepEqual(
      { room: undefined, broadcast: undefined, ...found },
      { room: undefined, broadcast: undefined, ...route },
    );
  }
});

test('what is no room and no broadcast leads to a view that needs none', () => {
  assert.equal(parse('#/rooms/0/live').view, 'home');
  assert.equal(parse('#/rooms/<script>/live').view, 'home');
  assert.equal(parse('#/rooms/42/nothing').view, 'live');
  assert.equal(parse('#/rooms/42/broadcasts/..%2F..').view, 'broadcasts');
});
