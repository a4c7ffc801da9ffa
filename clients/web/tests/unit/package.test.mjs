// The package as npm packs it: what it exports is there, and is what the server serves.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const here = (path) => new URL(`../../${path}`, import.meta.url);
const read = (path) => readFileSync(here(path), 'utf8');
const manifest = JSON.parse(read('package.json'));

await import(here('assemble.mjs'));

test('every file that package.json names is there', () => {
  const files = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? entry : Object.values(entry),
  );
  for (const file of files) assert.ok(existsSync(here(file)), file);
});

test('the single file has the exports of all modules', async () => {
  const [index, bundle] = await Promise.all([import(here('dist/index.js')), import(here('dist/bundle.js'))]);
  assert.deepEqual(Object.keys(bundle), Object.keys(index));
  assert.deepEqual(Object.keys(index), [
    'connectPresenter',
    'createRelay',
    'forViewers',
    'readRoom',
    'receive',
    'replayChat',
  ]);
  assert.deepEqual(bundle.forViewers({ id: 'a', type: 'user.banned', user: 7, by: {} }), {
    id: 'a',
    type: 'user.banned',
    user: 7,
  });
});

test('both packages have the same version', () => {
  const [, project] = /^version = "(.*)"$/m.exec(read('../python/pyproject.toml'));
  const [, module] = /^__version__ = "(.*)"$/m.exec(read('../python/src/chatting_server/__init__.py'));
  assert.deepEqual([project, module], [manifest.version, manifest.version]);
});

test('the licence is that of the project', () => {
  assert.equal(read('LICENSE'), read('../../LICENSE'));
  assert.equal(read('LICENSE'), read('../python/LICENSE'));
});
