// What the client asks for is what the OpenAPI documents of the roles offer: paths, parameters, bodies and codes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Archive, Ingest } from '../../api/index.js';

const read = (path) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');
const documents = Object.fromEntries(
  ['ingest', 'archiver'].map((role) => [role, JSON.parse(read(`docs/reference/openapi/${role}.json`))]),
);

const ID = '01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11';
const AT = '2026-03-01T15:00:00.000Z';

const decision = { idempotencyKey: 'key', reason: 'raid' };
const ban = { ...decision, seconds: 60 };
const settings = documents.ingest.components.schemas.SettingsChange.properties;
const allSettings = Object.fromEntries(Object.keys(settings).map((name) => [name, null]));
const search = {
  ...{ from: AT, to: new Date(AT), text: 'a', flag: 'ko.abuse', attribute: 'color:#00C853', emote: 'wave' },
  ...{ deleted: 'only', decision: ID },
};
const span = { from: AT, to: AT, first: 1, bucketSeconds: 60 };
const audit = { from: AT, to: AT, type: 'user.banned', user: 1, by: 1, order: 'desc' };

/** Every method with every option. One that is missing here is missed by the test. */
const CALLS = {
  ingest: {
    post: [[1, 'a', { idempotencyKey: 'key', replyTo: ID, attributes: { color: '#00C853' }, emotes: [{ id: 'a', start: 0, end: 1 }] }]],
    lookUp: [[1, 'key']],
    lookUpEverywhere: [['key']],
    deleteMessage: [[1, ID, decision]],
    restoreMessage: [[1, ID, decision]],
    holds: [[1, { pageSize: 10 }]],
    release: [[1, ID, decision]],
    deny: [[1, ID, decision]],
    postNotice: [[1, 'a', { idempotencyKey: 'key' }]],
    pin: [[1, ID, { idempotencyKey: 'key' }]],
    unpin: [[1, { idempotencyKey: 'key' }]],
    getPin: [[1]],
    report: [[1, ID, 'spam', { reason: 'a link' }]],
    closeReports: [[1, ID, decision]],
    clear: [[1, decision]],
    sweep: [
      [1, { texts: ['a'], users: [2], label: 'ko.abuse' }, { ...decision, secondsBack: 60 }],
      [1, { firstSeenSeconds: 60 }, { ...decision, secondsBack: 60, secondsForward: 60, forward: 'hold' }],
    ],
    previewSweep: [[1, { texts: ['a'] }, { secondsBack: 60 }]],
    undoSweep: [[1, ID, decision]],
    sweeps: [[1]],
    ban: [[1, 2, { ...ban, purgeSeconds: 60 }]],
    unban: [[1, 2, decision]],
    bans: [[1, { pageSize: 10 }]],
    getBan: [[1, 2]],
    banEverywhere: [[2, ban]],
    unbanEverywhere: [[2, decision]],
    bansEverywhere: [[{ pageSize: 10 }]],
    getBanEverywhere: [[2]],
    addModerator: [[1, 2, decision]],
    removeModerator: [[1, 2, decision]],
    moderators: [[1, { pageSize: 10 }]],
    getModerator: [[1, 2]],
    warn: [[1, 2, 'no links please', { idempotencyKey: 'key' }]],
    withdrawWarning: [[1, 2, decision]],
    warnings: [[1, { pageSize: 10 }]],
    getWarning: [[1, 2]],
    addNote: [[1, 2, 'a', { idempotencyKey: 'key' }]],
    deleteNote: [[1, 2, ID, decision]],
    notes: [[1, 2]],
    getSettings: [[1]],
    changeSettings: [[1, allSettings, ban]],
  },
  archiver: {
    search: [[{ room: 1, user: 2, ...search, order: 'desc' }], [{ user: 2, ...search, order: 'desc' }]],
    getMessage: [[1, ID]],
    trace: [[1, ID, { position: '1-2-0' }]],
    export: [[{ room: 1, user: 2, ...search }], [{ user: 2, ...search }]],
    exportFile: [[{ room: 1, ...search, order: 'desc', format: 'csv', bom: true, separator: 'semicolon' }]],
    broadcasts: [[1, { from: AT, to: AT, pageSize: 10 }]],
    getBroadcast: [[1, ID]],
    replay: [[1, ID, { from: '00:00:01', timeline: 'wall', pageSize: 10 }]],
    exportBroadcast: [[1, ID, { format: 'webvtt', timeline: 'wall' }]],
    statistics: [[1, span]],
    chatters: [[1, span]],
    words: [[1, span]],
    highlights: [[1, span]],
    decisions: [[audit], [{ room: 1, ...audit }]],
    reports: [[1, { state: 'open', pageSize: 10 }]],
    erase: [[2, { mode: 'anonymise' }]],
    erasures: [[2]],
  },
};

/** Not of a client: probes, the documents, the original's surface, and the replay at the server's pace. */
const LEFT_OUT = ['root', 'livez', 'readyz', 'openapi', 'send_message', 'token', 'get_status', 'replay_events'];

const LISTS = [
  'messages',
  'bans',
  'holds',
  'sweeps',
  'moderators',
  'warnings',
  'notes',
  'broadcasts',
  'decisions',
  'reports',
  'chatters',
  'words',
  'highlights',
  'erasures',
];
const PAGE = JSON.stringify(Object.fromEntries(LISTS.map((name) => [name, []])));

const operations = (api) =>
  Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

function asked(api, method, url) {
  const { pathname } = new URL(url);
  const isIt = (known) =>
    known.method === method && new RegExp(`^${known.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname);
  const found = operations(api).find(isIt);
  assert.ok(found, `no operation is ${method} ${pathname}`);
  return found.operation;
}

/** The members that a schema names. */
function members(api, schema) {
  for (const part of [schema, ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]) {
    if (part.$ref) return members(api, api.components.schemas[part.$ref.split('/').pop()]);
  }
  return schema.properties ?? {};
}

for (const [name, Client] of [
  ['ingest', Ingest],
  ['archiver', Archive],
]) {
  test(`every call of ${Client.name} is in the document of ${name}, and the other way round`, async () => {
    const api = documents[name];
    const seen = new Set();
    const check = (method, url, { headers, body }) => {
      const operation = asked(api, method, url);
      const offered = (operation.parameters ?? []).map((parameter) => `${parameter.in} ${parameter.name}`);
      for (const parameter of new URL(url).searchParams.keys())
        assert.ok(offered.includes(`query ${parameter}`), `${url} ${parameter}`);
      if (headers['Idempotency-Key']) assert.ok(offered.includes('header Idempotency-Key'), url);
      if (body) {
        const allowed = members(api, operation.requestBody.content['application/json'].schema);
        const sent = JSON.parse(body);
        for (const member of Object.keys(sent)) assert.ok(member in allowed, `${url} ${member}`);
        for (const member of Object.keys(sent.settings ?? {}))
          assert.ok(member in members(api, allowed.settings), member);
      }
      seen.add(operation.operationId);
    };
    const client = new Client({
      url: 'https://chat.example.com',
      patienceMs: 0,
      fetch: async (url, init) => (check(init.method ?? 'GET', url, init), new Response(PAGE)),
    });
    const methods = Object.getOwnPropertyNames(Client.prototype).filter(
      (method) => !['constructor', 'withToken'].includes(method),
    );
    assert.deepEqual(methods.toSorted(), Object.keys(CALLS[name]).toSorted());
    for (const [method, calls] of Object.entries(CALLS[name])) {
      for (const given of calls) {
        let answer = client[method](...given);
        if (answer instanceof Promise) answer = await answer;
        // The page is no line of an export.
        if (method === 'export') await assert.rejects(answer[Symbol.asyncIterator]().next(), /broke off/);
        else if (answer?.[Symbol.asyncIterator])
          assert.deepEqual(await answer.next(), { done: true, value: undefined });
      }
    }
    const known = operations(api).map(({ operation }) => operation.operationId);
    assert.deepEqual([...seen].toSorted(), known.filter((id) => !LEFT_OUT.includes(id)).toSorted());
  });
}

test('the codes are those of the documents', () => {
  const documented = new Set(documents.ingest.components.schemas.Code.enum);
  for (const page of ['archive-api.md', 'room-events.md']) {
    const errors = read(`docs/reference/${page}`)
      .split(/^#+ Errors$/m)[1]
      .split(/^#/m)[0];
    for (const [, , codes] of errors
      .split('\n')
      .filter((row) => /^\| \d{3} /.test(row))
      .map((row) => row.split('|'))) {
      for (const [, code] of codes.matchAll(/`(\w+)`/g)) documented.add(code);
    }
  }
  const ours = [...read('clients/web/api/codes.d.ts').matchAll(/\| '(\w+)'/g)].map(([, code]) => code);
  assert.deepEqual(ours.toSorted(), [...documented].toSorted());
  for (const module of ['ingest', 'archive', 'role']) {
    for (const [, code] of read(`clients/web/api/${module}.js`).matchAll(/'([a-z]+_[a-z_]+)'/g)) {
      assert.ok(documented.has(code), `${module}.js names ${code}`);
    }
  }
});
