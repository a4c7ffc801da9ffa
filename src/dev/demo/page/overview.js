// @ts-check
/** The numbers at the top, the parts with their buttons, and the recording's controls. */

import { clone, find, write } from './columns.js';
import { texts } from './texts.js';

/** @typedef {import('./control.js').State} State */
/** @typedef {import('./control.js').Part} Part */

/** The names that people know, in the order in which a message meets the parts. */
const NAMES = new Map([
  ['ingest', 'ingest'],
  ['nats-server', 'NATS'],
  ['delivery', 'delivery'],
  ['archiver', 'archiver'],
  ['mongod', 'MongoDB'],
]);

/** The parts between the log's answer and a place, the usual cause of a wait first. */
const ON_THE_WAY = {
  accepted: ['ingest', 'nats-server'],
  screen: ['delivery', 'nats-server'],
  archive: ['mongod', 'archiver', 'nats-server'],
};

/** A gap of so many messages, or more, fills the bar. */
const FULL_GAP = 40;

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const seconds = (/** @type {number} */ ms) => (ms / 1_000).toFixed(1);

/**
 * @param {{ name: string, label(): string }[]} places the first is `accepted`
 * @param {import('./ledger.js').Ledger} ledger
 * @param {State | null} state
 * @param {number} sending posts of the page without an answer
 * @param {(place: string) => boolean} isConnected
 */
export function drawCounts(places, ledger, state, sending, isConnected) {
  const text = texts();
  const totals = { lost: 0, repeated: 0, disordered: 0 };
  for (const { name, label } of places) {
    const item = element(byId('places'), name, 'place');
    const found = name === 'accepted' ? null : ledger.count(name);
    const waiting = found ? found.waiting + found.lost : sending + (state?.playing.sending ?? 0);
    const kind = found ? (name === 'archive' ? 'archive' : 'screen') : 'accepted';
    const cause = ON_THE_WAY[kind].find((part) => isDown(state, part));
    const part = cause ? (NAMES.get(cause) ?? cause) : null;
    const isAway = !isConnected(name);
    write(find(item, '.name'), label());
    write(find(item, '.number'), String(found ? found.arrived : ledger.total));
    find(item, '.gap span').style.width = `${(100 * Math.min(waiting, FULL_GAP)) / FULL_GAP}%`;
    item.dataset.waiting = String(waiting);
    const isWell = waiting === 0 && ledger.total > 0;
    const isHeld = waiting > 0 && (part !== null || isAway);
    item.dataset.state = found?.lost ? 'bad' : isHeld ? 'wait' : isWell ? 'well' : 'moving';
    write(find(item, '.note'), note(found, waiting, part, isAway, ledger.total));
    if (found) for (const total of /** @type {const} */ (['lost', 'repeated', 'disordered'])) totals[total] += found[total];
  }
  for (const [name, total] of Object.entries(totals)) {
    write(byId(name), String(total));
    byId(name).parentElement?.classList.toggle('bad', total > 0);
  }
}

/**
 * @param {import('./ledger.js').Count | null} found @param {number} waiting @param {string | null} part
 * @param {boolean} isAway @param {number} total
 */
function note(found, waiting, part, isAway, total) {
  const text = texts();
  if (found?.lost) return text.isLost(found.lost);
  if (waiting === 0) return total === 0 ? text.none : found ? text.allHere : text.everyAnswer;
  if (part) return text.waitFor(waiting, part);
  if (isAway) return text.waitToReconnect(waiting);
  return found ? text.onTheWay(waiting) : text.sending(waiting);
}

/** @param {State | null} state @param {string} part */
const isDown = (state, part) => state?.parts.some(({ name, state }) => name === part && state !== 'running') ?? false;

/** @param {State} state @param {State | null} before @param {(part: string) => void} onKill */
export function drawParts(state, before, onKill) {
  const text = texts();
  const order = [...NAMES.keys()];
  const parts = [...state.parts].sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  for (const part of parts) {
    const { name, state: now, downMs, backAfterMs } = part;
    const label = NAMES.get(name) ?? name;
    const item = element(byId('parts'), name, 'part', (item) =>
      find(item, 'button').addEventListener('click', () => onKill(name)),
    );
    write(find(item, '.name'), label);
    write(find(item, '.purpose'), /** @type {Record<string, string>} */ (text.purposes)[name] ?? '');
    write(find(item, '.state'), stateOf(now, downMs, backAfterMs));
    item.dataset.state = now;
    const button = /** @type {HTMLButtonElement} */ (find(item, 'button'));
    write(button, text.kill);
    button.setAttribute('aria-label', text.killPart(label));
    // Not `disabled`: the focus would be lost.
    button.setAttribute('aria-disabled', String(now === 'down'));
    const was = before?.parts.find((part) => part.name === name)?.state ?? 'running';
    if (was === 'running' && now !== 'running') write(byId('news'), text.newsDown(label));
    if (was !== 'running' && now === 'running') write(byId('news'), text.newsBack(label, seconds(backAfterMs ?? 0)));
  }
}

/** @param {Part['state']} state @param {number | null} downMs @param {number | null} backAfterMs */
function stateOf(state, downMs, backAfterMs) {
  const text = texts();
  if (state === 'down') return text.down(seconds(downMs ?? 0));
  if (state === 'starting') return text.starting(seconds(downMs ?? 0));
  return backAfterMs === null ? text.running : text.backAfter(seconds(backAfterMs));
}

/** @param {State['playing']} playing */
export function drawPlaying({ running, speed, atMs, lengthMs, refused, unknown }) {
  const text = texts();
  write(byId('play'), running ? text.stop : text.start);
  byId('play').dataset.running = String(running);
  press(byId('speed'), String(speed));
  /** @type {HTMLProgressElement} */ (byId('progress')).value = atMs / lengthMs;
  write(byId('posts'), text.posts(refused, unknown));
}

/** Marks the chosen button of a group. @param {HTMLElement} group @param {string} choice */
export function press(group, choice) {
  for (const button of group.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.dataset.choice === choice));
  }
}

/** @param {HTMLElement} list @param {string} name @param {string} template @param {(item: HTMLElement) => void} [onNew] */
function element(list, name, template, onNew) {
  const known = list.querySelector(`[data-name="${CSS.escape(name)}"]`);
  if (known) return /** @type {HTMLElement} */ (known);
  const fragment = clone(template);
  const item = /** @type {HTMLElement} */ (fragment.firstElementChild);
  item.dataset.name = name;
  onNew?.(item);
  list.append(fragment);
  return item;
}
