// @ts-check
/** What each person sees: the messages, the connection, and a box to write. Texts of users are only ever text content. */

import { texts } from './texts.js';

/** Older lines are removed from the page. */
const MAX_LINES = 200;

/** Lines are shown together: after an outage hundreds come at once. */
const FLUSH_MS = 50;

/** @param {string} id @returns {DocumentFragment} */
export const clone = (id) =>
  /** @type {DocumentFragment} */ (
    /** @type {HTMLTemplateElement} */ (document.getElementById(id)).content.cloneNode(true)
  );

/** @template {HTMLElement} E @param {ParentNode} parent @param {string} selector @returns {E} */
export const find = (parent, selector) => /** @type {E} */ (parent.querySelector(selector));

/** Writes only what has changed, so that a selection stays. @param {HTMLElement} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Column {
  #root;
  #name;
  #state = () => '';
  #result = () => '';
  #isConnected = false;
  /** Messages that are not in the page yet. @type {HTMLElement[]} */
  #pending = [];
  /** Whether the end of the log stays in view. */
  #follows = true;

  /**
   * @param {string} place for tests and styles
   * @param {() => string} name
   * @param {{
   *   onSend(text: string, tell: (result: () => string) => void): Promise<void>, onCut?: (isConnected: boolean) => void,
   * }} handlers
   */
  constructor(place, name, { onSend, onCut }) {
    const fragment = clone('column');
    this.#root = find(fragment, '.column');
    this.#root.dataset.place = place;
    this.#name = name;
    document.getElementById('columns')?.append(fragment);
    const cut = /** @type {HTMLButtonElement} */ (find(this.#root, 'header button'));
    if (onCut) cut.addEventListener('click', () => onCut(this.#isConnected));
    else cut.remove();
    const log = find(this.#root, '.log');
    let last = 0;
    log.addEventListener('scroll', () => {
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      this.#follows = isAtEnd || (this.#follows && log.scrollTop >= last);
      last = log.scrollTop;
    });
    new ResizeObserver(() => this.#scroll()).observe(log);
    const input = /** @type {HTMLInputElement} */ (find(this.#root, 'input'));
    find(this.#root, 'form').addEventListener('submit', (submit) => {
      submit.preventDefault();
      const { value } = input;
      input.value = '';
      void onSend(value, (result) => this.setResult(result));
    });
  }

  /** What became of a message of this person. @param {() => string} result */
  setResult(result) {
    this.#result = result;
    this.draw();
  }

  /** @param {() => string} state @param {boolean} isConnected */
  setState(state, isConnected) {
    this.#state = state;
    this.#isConnected = isConnected;
    this.draw();
  }

  draw() {
    const [root, name, text] = [this.#root, this.#name(), texts()];
    root.dataset.connected = String(this.#isConnected);
    write(find(root, 'h3'), name);
    write(find(root, '.state'), this.#state());
    write(find(root, 'output'), this.#result());
    write(find(root, 'form button'), text.send);
    const input = /** @type {HTMLInputElement} */ (find(root, 'input'));
    input.placeholder = text.message;
    input.setAttribute('aria-label', text.writeAs(name));
    const log = find(root, '.log');
    log.setAttribute('aria-label', name);
    log.dataset.empty = text.empty;
    const cut = root.querySelector('header button');
    if (!cut) return;
    write(/** @type {HTMLElement} */ (cut), this.#isConnected ? text.cut : text.connect);
    cut.setAttribute('aria-label', this.#isConnected ? text.cutViewer(name) : text.connectViewer(name));
  }

  /** @param {any} event an event of the room */
  show(event) {
    if (event.type === 'message.posted') {
      if (this.#pending.push(line(event)) === 1) setTimeout(() => this.#flush(), FLUSH_MS);
      if (this.#pending.length > MAX_LINES) this.#pending.shift();
      return;
    }
    this.#flush();
    const log = find(this.#root, '.log');
    if (event.type === 'message.deleted') {
      log.querySelector(`[data-id="${CSS.escape(event.target)}"]`)?.remove();
    } else if (event.type === 'message.restored' && event.message) {
      log.querySelector(`[data-id="${CSS.escape(event.target)}"]`)?.remove();
      const later = /** @type {HTMLElement[]} */ ([...log.children]).find(({ dataset }) => String(dataset.at) > event.message.at);
      log.insertBefore(line(event.message), later ?? null);
    } else if (event.type === 'room.cleared') {
      log.replaceChildren();
    } else if (event.type === 'user.erased' || event.purgeSeconds) {
      const since = event.purgeSeconds ? Date.parse(event.at) - event.purgeSeconds * 1_000 : -Infinity;
      /** @type {NodeListOf<HTMLElement>} */
      const theirs = log.querySelectorAll(`[data-user="${CSS.escape(String(event.user))}"]`);
      for (const shown of theirs) if (Date.parse(String(shown.dataset.at)) >= since) shown.remove();
    }
  }

  #flush() {
    const log = find(this.#root, '.log');
    log.append(...this.#pending.splice(0));
    while (log.childElementCount > MAX_LINES) log.firstElementChild?.remove();
    this.#scroll();
  }

  #scroll() {
    const log = find(this.#root, '.log');
    if (this.#follows) log.scrollTop = log.scrollHeight;
  }
}

/** @param {any} message */
function line({ id, user, at, text, deleted }) {
  const item = document.createElement('li');
  Object.assign(item.dataset, { id, user: user?.idx, role: user?.role, at });
  const author = document.createElement('b');
  author.textContent = user?.nickname ?? '';
  const said = document.createElement('span');
  said.textContent = deleted ? texts().deleted : (text ?? '');
  item.append(author, ' ', said);
  return item;
}
