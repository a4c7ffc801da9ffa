// Posts to room 2 and reads it, while the tests end and start ingest and delivery: `cargo test --features node --test it
// clients::`. It prints a line for each message that is stored, and at the end what was read.

import { deepEqual } from 'node:assert/strict';

import { Ingest } from '@chatting-server/web/api';
import { readRoom } from '@chatting-server/web/reader';
import { token } from './token.mjs';

const MESSAGES = 300;

const read = [];
let done;
const all = new Promise((resolve) => (done = resolve));
const reader = readRoom({
  url: process.env.CHATTING_DELIVERY,
  room: 2,
  getToken: () => token(2),
  from: 'window',
  onEvent: ({ id }) => read.push(id) === MESSAGES && done(),
  onGap: () => read.push('gap'),
});
const ingest = new Ingest({ url: process.env.CHATTING_INGEST, token: token(42) });
const posted = [];
for (let number = 0; number < MESSAGES; number++) {
  posted.push((await ingest.post(2, `message ${number}`)).id);
  console.log(`stored ${number + 1}`);
}
await all;
reader.close();
deepEqual(read, posted);
console.log('each message once and in order');
