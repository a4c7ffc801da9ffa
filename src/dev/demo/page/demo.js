// @ts-check
/** The demo of `chatting-server dev`: puts the room, the ledger, the controls and the page together. */

import { look } from './archive.js';
import { Column } from './columns.js';
import * as control from './control.js';
import { Ledger } from './ledger.js';
import { drawCounts, drawParts, drawPlaying, press } from './overview.js';
import { post } from './post.js';
import { openRoom } from './room.js';
import { choose, language, texts, translate } from './texts.js';
import { drawTryIt } from './try-it.js';

const STATE_MS = 250;
const ARCHIVE_MS = 400;

/** Failures in a row after which `dev` counts as gone. */
const GONE_AFTER = 3;

/** Messages of each viewer in a raid. A viewer may write 20 in 30 s. */
const RAID = 5;

/** The close code of a session that a newer one replaced. */
const REPLACED = 4002;

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

translate();
const setup = await firstSetup();
const { room: number, ingest, people } = setup;
const moderating = `#/rooms/${number}/live?token=${people.moderator.token}`;
byId('console').setAttribute('href', `http://${setup.archiver}/console/${moderating}`);

/** @type {control.State | null} */
let state = null;
let [speed, downMs, sending] = [1, 5_000, 0];
let [failures, isTakenOver] = [0, false];
/** Whether each screen is connected. @type {Map<string, boolean>} */
const connected = new Map();

const viewers = people.viewers.map((person) => ({ person, name: `viewer${person.user}` }));
const places = [
  { name: 'accepted', label: () => texts().accepted },
  { name: 'presenter', label: () => texts().presenter },
  ...viewers.map(({ person, name }) => ({ name, label: () => texts().viewer(person.user) })),
  { name: 'archive', label: () => texts().archive },
];
const ledger = new Ledger(places.slice(1).map(({ name }) => name));

/** @type {Map<string, Column>} */
const columns = new Map();
/** @type {Map<string, any>} */
const connections = new Map();
addColumn('presenter', people.presenter);
for (const { name, person } of viewers) addColumn(name, person, (isConnected) => toggle(name, isConnected));

byId('play').addEventListener('click', () => choosePlay(!state?.playing.running, speed));
byId('raid').addEventListener('click', raid);
onChoice('speed', (choice) => choosePlay(state?.playing.running ?? false, (speed = Number(choice))));
onChoice('down', (choice) => {
  downMs = 1_000 * Number(choice);
  draw();
});
onChoice('language', (choice) => {
  choose(/** @type {import('./texts.js').Language} */ (choice));
  drawTryIt(setup);
  draw();
});
drawTryIt(setup);
draw();
void follow();
void lookForever();

const room = await openRoom(setup.delivery, {
  getToken: async () => (await control.setup()).people.presenter.token,
  onBegin: (position) => ledger.begin(position),
  onEvent: (event) => show('presenter', event),
  onStatus: (status) => {
    const isLive = status.state === 'live';
    connected.set('presenter', isLive);
    const retryAt = Date.now() + ('retryInMs' in status ? (status.retryInMs ?? 0) : 0);
    const left = () => Math.ceil((retryAt - Date.now()) / 1_000);
    const said = () => (status.state === 'waiting' ? texts().waiting(left()) : texts()[status.state]);
    columns.get('presenter')?.setState(said, isLive);
    if (status.state === 'stopped' && status.code === REPLACED) tell(() => texts().replaced, takeBack);
    if (isLive && isTakenOver) {
      isTakenOver = false;
      tell(null);
    }
  },
});
for (const { name } of viewers) {
  const viewer = room.viewer({
    onEvent: (event) => show(name, event),
    onChange: (isOpen) => {
      connected.set(name, isOpen);
      columns.get(name)?.setState(() => (isOpen ? texts().channelOpen : texts().channelClosed), isOpen);
    },
  });
  connections.set(name, viewer);
  void viewer.connect();
}

/** @param {string} name @param {control.Person} person @param {(isConnected: boolean) => void} [onCut] */
function addColumn(name, person, onCut) {
  const label = () => places.find((place) => place.name === name)?.label() ?? name;
  const onSend = (/** @type {string} */ text, /** @type {(result: () => string) => void} */ tellResult) =>
    write(person, text, tellResult);
  const column = new Column(name, label, { onSend, onCut });
  columns.set(name, column);
  connected.set(name, false);
  column.setState(() => texts().connecting, false);
}

/** @param {control.Person} person @param {string} text @param {(result: () => string) => void} tellResult */
async function write(person, text, tellResult) {
  sending += 1;
  tellResult(() => texts().posting);
  const outcome = await post(ingest, number, person.token, text, () => tellResult(() => texts().retrying));
  sending -= 1;
  if (outcome.outcome === 'accepted') ledger.accept(outcome);
  tellResult(() => {
    if (outcome.outcome === 'accepted') return texts().postAccepted;
    if (outcome.outcome === 'unknown') return texts().postUnknown;
    return texts().postRefused(outcome.status, outcome.code, outcome.detail);
  });
}

/** The viewers post one text, each time with another ending. */
function raid() {
  for (let number = 1; number <= RAID; number++) {
    for (const { name, person } of viewers) {
      void write(person, texts().raidText(number), (result) => columns.get(name)?.setResult(result));
    }
  }
}

/** @param {string} place @param {any} event */
function show(place, event) {
  if (event.type === 'message.posted') ledger.show(place, event);
  columns.get(place)?.show(event);
}

/** @param {string} name @param {boolean} isConnected */
function toggle(name, isConnected) {
  if (isConnected) connections.get(name)?.disconnect();
  else void connections.get(name)?.connect();
}

function takeBack() {
  isTakenOver = true;
  room.connect();
}

/** Asks `dev` for its state, again and again. */
async function follow() {
  /** @type {number | null} */
  let after = null;
  for (;;) {
    try {
      const before = state;
      const now = await control.state(after);
      // Another run of `dev`: other tokens, perhaps other ports.
      if (now.run !== setup.run) return location.reload();
      if (state === null && now.playing.running) speed = now.playing.speed;
      state = now;
      after = now.accepted.next;
      for (const message of now.accepted.messages) ledger.accept(message);
      drawParts(now, before, kill);
      if (failures >= GONE_AFTER) tell(null);
      failures = 0;
    } catch {
      failures += 1;
      if (failures >= GONE_AFTER) tell(() => texts().gone);
    }
    draw();
    await pause(STATE_MS);
  }
}

/** Looks in the archive for what has not been seen there, again and again. */
async function lookForever() {
  for (;;) {
    try {
      await look(setup.archiver, number, people.presenter.token, ledger, 'archive');
    } catch {
      // The archiver is down: the counts say so.
    }
    await pause(ARCHIVE_MS);
  }
}

/** @param {string} part */
function kill(part) {
  if (state?.parts.find(({ name }) => name === part)?.state === 'down') return;
  // It may have ended by itself just now.
  control.kill(part, downMs).catch(() => {});
}

/** @param {boolean} running @param {number} speed */
function choosePlay(running, speed) {
  // The notice says so if `dev` is gone.
  control.play(running, speed).catch(() => {});
}

/** Viewers get nothing while the presenter is away. @param {string} place */
function isConnected(place) {
  if (!connected.has(place)) return true;
  return connected.get('presenter') === true && connected.get(place) === true;
}

function draw() {
  for (const column of columns.values()) column.draw();
  drawCounts(places, ledger, state, sending, isConnected);
  if (state) {
    drawParts(state, state, kill);
    drawPlaying({ ...state.playing, speed });
  }
  press(byId('language'), language);
  press(byId('down'), String(downMs / 1_000));
}

/** @param {string} group @param {(choice: string) => void} onChosen */
function onChoice(group, onChosen) {
  byId(group).addEventListener('click', ({ target }) => {
    const choice = target instanceof HTMLElement ? target.dataset.choice : undefined;
    if (choice !== undefined) onChosen(choice);
  });
}

/** Shows the notice, or hides it. @param {(() => string) | null} text @param {() => void} [onTakeBack] */
function tell(text, onTakeBack) {
  const notice = byId('notice');
  notice.hidden = text === null;
  const [sentence, button] = /** @type {[HTMLElement, HTMLButtonElement]} */ ([...notice.children]);
  const wanted = text?.() ?? '';
  if (sentence.textContent !== wanted) sentence.textContent = wanted;
  button.hidden = !onTakeBack;
  button.textContent = texts().takeOver;
  button.onclick = onTakeBack ?? null;
}

async function firstSetup() {
  for (;;) {
    try {
      return await control.setup();
    } catch {
      await pause(STATE_MS);
    }
  }
}
