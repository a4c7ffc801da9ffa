// What the demo's ledger finds: `node --test tests/browser/*.test.mjs`. The whole page is tested in a real browser, in
// demo.rs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, Ledger } from '../../src/dev/demo/page/ledger.js';

const AT = '2026-11-29T12:00:00.000Z';
const PLACES = ['presenter', 'viewer', 'archive'];
const message = (number) => ({ id: `id${number}`, position: `18ec7fe5cf876d3c-${number.toString(16)}-0` });
const accept = (ledger, number) => ledger.accept({ ...message(number), sinceMs: 0 });
const show = (ledger, place, number) => ledger.show(place, { ...message(number), at: AT });
const all = (ledger) => PLACES.map((place) => ledger.count(place));
const well = (arrived) => ({ arrived, waiting: 0, lost: 0, repeated: 0, disordered: 0 });

test('what arrives everywhere leaves no gap, whether the answer or the message comes first', () => {
  const ledger = new Ledger(PLACES);
  for (let number = 1; number <= 300; number += 1) {
    if (number % 2) accept(ledger, number);
    show(ledger, 'presenter', number);
    if (number % 2 === 0) accept(ledger, number);
    show(ledger, 'viewer', number);
  }
  assert.deepEqual(all(ledger), [well(300), well(300), { ...well(0), waiting: 300 }]);
  ledger.list('archive', Array.from({ length: 300 }, (_, index) => message(index + 1)));
  assert.deepEqual(all(ledger), [well(300), well(300), well(300)]);
  assert.equal(ledger.total, 300);
  accept(ledger, 300);
  assert.equal(ledger.total, 300);
});

test('a message that a later one overtook is lost, and counts as arrived and out of order when it comes', () => {
  const ledger = new Ledger(PLACES);
  [1, 2, 3].forEach((number) => accept(ledger, number));
  show(ledger, 'presenter', 1);
  assert.deepEqual(ledger.count('presenter'), { ...well(1), waiting: 2 });
  show(ledger, 'presenter', 3);
  assert.deepEqual(ledger.count('presenter'), { ...well(2), lost: 1 });
  show(ledger, 'presenter', 2);
  assert.deepEqual(ledger.count('presenter'), { ...well(3), disordered: 1 });
});

test('a repeated message is found, also when it had arrived everywhere', () => {
  const ledger = new Ledger(PLACES);
  [1, 2].forEach((number) => show(ledger, 'viewer', number));
  show(ledger, 'viewer', 1);
  assert.equal(ledger.count('viewer').repeated, 1);
  show(ledger, 'presenter', 2);
  ledger.list('archive', [message(1), message(2)]);
  show(ledger, 'presenter', 2);
  assert.equal(ledger.count('presenter').repeated, 1);
  assert.equal(ledger.count('archive').repeated, 0);
});

test('the archive may be written in any order, and must list each message once, in order', () => {
  const ledger = new Ledger(PLACES);
  [1, 2, 3].forEach((number) => accept(ledger, number));
  ledger.list('archive', [message(3)]);
  ledger.list('archive', [message(1), message(2), message(3)]);
  ledger.list('archive', [message(1), message(2), message(3)]);
  assert.deepEqual(ledger.count('archive'), well(3));
  ledger.list('archive', [message(2), message(1), message(1)]);
  assert.deepEqual(ledger.count('archive'), { ...well(3), repeated: 1, disordered: 1 });
});

test('two positions of one message are an error in the order', () => {
  const ledger = new Ledger(PLACES);
  accept(ledger, 1);
  show(ledger, 'viewer', 2);
  ledger.show('viewer', { id: 'id1', position: message(3).position, at: AT });
  assert.equal(ledger.count('viewer').disordered, 1);
});

test('messages up to the beginning of the session do not count', () => {
  const ledger = new Ledger(PLACES);
  [1, 2, 3].forEach((number) => accept(ledger, number));
  ledger.begin(message(2).position);
  accept(ledger, 1);
  assert.equal(ledger.total, 1);
  assert.deepEqual(ledger.missing('viewer').map(({ id }) => id), ['id3']);
});

test('keys order as positions do', () => {
  const positions = ['1-1-0', '1-9-0', '1-a-0', '1-a-1', '1-a-f', '1-a-10', '1-ff-0', '1-100-0', 'a-1-0', '18ec7fe5cf876d3c-1-0'];
  assert.deepEqual(positions.map(keyOf).toSorted(), positions.map(keyOf));
});
