// @ts-check
/** The live room: `#/rooms/{presenterIdx}/live`. */

import { bases } from './api.js';
import { decisionText } from './decision-text.js';
import { button, fill, h } from './dom.js';
import { number, time } from './format.js';
import { t } from './i18n.js';
import { LiveRoom } from './live-room.js';
import { MessageList } from './message-list.js';
import { messageRow, rowAction } from './message-row.js';
import { deleteMessage, mayModerate, restoreMessage } from './moderation.js';
import { explain, isAbort } from './outcome.js';
// @ts-expect-error It is delivery's, and served beside this file.
import { readRoom } from './reader.js';
import { session } from './session.js';
import { SettingsPanel } from './settings-panel.js';
import { UserCard } from './user-card.js';

/** Rows that are kept. At 100 messages a second, more than three minutes. */
const MAX_ITEMS = 20_000;

/** Events that arrive within this time are shown together: a dozen layouts a second, however busy the room is. */
const BATCH_MS = 80;

/** @typedef {import('./live-room.js').Item} Item */
/** @typedef {import('./live-room.js').MessageItem} MessageItem */

/** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
export async function mount(root, view) {
  new LiveView(root, view);
}

class LiveView {
  #room;
  #signal;
  #live = new LiveRoom();
  #mayModerate = false;
  /** Whose card is open. @type {import('./message-row.js').User | null} */
  #user = null;
  #status = h('span', { class: 'status', role: 'status', data: { state: 'connecting' } }, t('live.connecting'));
  #rate = h('span', { class: 'figure' });
  #unseen = h('button', { type: 'button', class: 'unseen', hidden: true, on: { click: () => this.#list.toEnd() } });
  #panel = h('aside', { class: 'panel' });
  #list;
  #settings;
  /** Items that are not shown yet. @type {Item[]} */
  #arrived = [];

  /** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
  constructor(root, { room, signal }) {
    this.#room = room;
    this.#signal = signal;
    this.#list = new MessageList({
      render: (item) => this.#row(item),
      label: t('live.list'),
      follows: true,
      max: MAX_ITEMS,
      onUnseen: (count) => this.#tellUnseen(count),
      onKey: (item, key) => this.#key(item, key),
    });
    this.#settings = new SettingsPanel(room, signal);
    const openRoom = button(t('live.room'), () => this.#showPanel(this.#settings.element), { class: 'only-narrow' });
    fill(
      root,
      h(
        'section',
        { class: 'split live' },
        h('h1', { class: 'visually-hidden' }, t('view.live')),
        h(
          'div',
          { class: 'stream' },
          h('div', { class: 'bar' }, this.#status, this.#rate, h('span', { class: 'space' }), openRoom),
          this.#list.element,
          this.#unseen,
        ),
        this.#panel,
      ),
    );
    fill(this.#panel, this.#settings.element);
    this.#read();
    this.#learnRights();
    const timer = setInterval(() => this.#tellRate(), 1_000);
    this.#tellRate();
    signal.addEventListener('abort', () => (clearInterval(timer), this.#list.close()));
  }

  #read() {
    const reader = readRoom({
      url: bases.delivery,
      room: this.#room,
      from: 'window',
      getToken: async (/** @type {{ expired: boolean }} */ { expired }) => {
        if (expired || !session.isSignedIn) await session.renewed();
        return session.token ?? '';
      },
      onEvent: (/** @type {any} */ event) => this.#take(event),
      onGap: () => this.#arrive({ kind: 'gap' }),
      onStatus: (/** @type {any} */ status) => this.#tellStatus(status),
    });
    this.#signal.addEventListener('abort', () => reader.close());
  }

  async #learnRights() {
    try {
      this.#mayModerate = await mayModerate(this.#room, { signal: this.#signal });
      this.#list.updateAll();
      // A card that was opened before shows what the user may do.
      if (this.#user) this.#openUser(this.#user);
    } catch (error) {
      if (!isAbort(error)) this.#settings.fail(error);
    }
  }

  /** @param {any} event */
  #take(event) {
    const { item, changed } = this.#live.apply(event);
    for (const one of changed) this.#list.update(one);
    if (item) this.#arrive(item);
    if (event.type === 'room.updated') this.#settings.changed();
  }

  /** @param {Item} item */
  #arrive(item) {
    this.#arrived.push(item);
    if (this.#arrived.length > 1) return;
    setTimeout(() => {
      this.#live.forget(this.#list.append(this.#arrived.splice(0)));
    }, BATCH_MS);
  }

  /** @param {any} status */
  #tellStatus({ state, reason, retryInMs }) {
    const seconds = Math.ceil((retryInMs ?? 0) / 1_000);
    this.#status.dataset.state = state;
    this.#status.textContent = t(`live.${state}`, { reason, seconds });
    this.#status.title = reason ?? '';
    this.#list.whenEmpty(state === 'live' ? t('live.empty') : '');
  }

  #tellRate() {
    fill(this.#rate, h('strong', {}, number(this.#live.rate(), 1)), ` ${t('live.perSecond')}`);
  }

  /** @param {number} count */
  #tellUnseen(count) {
    this.#unseen.hidden = count === 0;
    this.#unseen.textContent = t('live.unseen', { count: number(count) });
  }

  /** @param {Item} item */
  #row(item) {
    if (item.kind === 'gap') return h('div', { class: 'event is-gap' }, t('live.gap'));
    if (item.kind === 'decision') {
      return h('div', { class: 'event' }, h('time', {}, time(item.event.at)), decisionText(item.event));
    }
    const { message, isPending, note } = item;
    const actions = this.#mayModerate && !isPending ? [this.#decisionButton(item)] : [];
    if (this.#mayModerate) actions.push(rowAction(t('user.act'), () => this.#openUser(message.user)));
    const row = messageRow(message, { onUser: (user) => this.#openUser(user), actions, note });
    row.classList.toggle('is-pending', isPending ?? false);
    return row;
  }

  /** @param {MessageItem} item */
  #decisionButton(item) {
    if (item.message.deleted) return rowAction(t('message.restore'), () => this.#decide(item, restoreMessage));
    return rowAction(t('message.delete'), () => this.#decide(item, deleteMessage));
  }

  /** The stream says when the message is gone, or back. @param {MessageItem} item @param {typeof restoreMessage} decide */
  async #decide(item, decide) {
    item.isPending = true;
    item.note = undefined;
    this.#list.update(item);
    try {
      await decide(this.#room, item.message.id);
    } catch (error) {
      item.isPending = false;
      item.note = explain(error);
      this.#list.update(item);
    }
  }

  /** @param {Item} item @param {string} key */
  #key(item, key) {
    if (item.kind !== 'message') return false;
    if (key === 'Enter') this.#openUser(item.message.user);
    else if (key === 'Delete' && this.#mayModerate && !item.message.deleted) this.#decide(item, deleteMessage);
    else return false;
    return true;
  }

  /** @param {import('./message-row.js').User} user */
  #openUser(user) {
    this.#user = user;
    const card = new UserCard({
      room: this.#room,
      user,
      signal: this.#signal,
      mayModerate: this.#mayModerate,
      onClose: () => this.#closePanel(),
    });
    this.#showPanel(card.element);
  }

  /** @param {HTMLElement} content */
  #showPanel(content) {
    this.#panel.classList.add('is-open');
    fill(this.#panel, content === this.#settings.element ? this.#closeButton() : null, content);
    this.#panel.querySelector('h2')?.focus();
  }

  #closeButton() {
    return button(t('close'), () => this.#closePanel(), { class: 'only-narrow close' });
  }

  #closePanel() {
    this.#user = null;
    this.#panel.classList.remove('is-open');
    fill(this.#panel, this.#settings.element);
    this.#list.element.focus();
  }
}
