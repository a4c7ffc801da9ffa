// @ts-check
/** The live room: `#/rooms/{presenterIdx}/live`. */

import { bases } from './api.js';
import { decisionText } from './decision-text.js';
import { button, fill, h } from './dom.js';
import { number, time } from './format.js';
import { t } from './i18n.js';
import { HoldQueue } from './hold-queue.js';
import { LiveRoom } from './live-room.js';
import { LiveSweeps } from './live-sweeps.js';
import { messageCard } from './message-card.js';
import { MessageList } from './message-list.js';
import { messageRow, rowAction } from './message-row.js';
import { deleteMessage, holds, mayModerate, pin, reports, restoreMessage } from './moderation.js';
import { noticeForm } from './notice-form.js';
import { explain, isAbort } from './outcome.js';
import { PinBar } from './pin-bar.js';
// @ts-expect-error It is delivery's, and served beside this file.
import { readRoom } from './reader.js';
import { session } from './session.js';
import { SettingsPanel } from './settings-panel.js';
import { UserCard } from './user-card.js';

/** Rows that are kept. At 100 messages a second, more than three minutes. */
const MAX_ITEMS = 20_000;

/** Events that arrive within this time are shown together: a dozen layouts a second, however busy the room is. */
const BATCH_MS = 80;

/** Events that may change a queue. A message changes one if it releases a hold. */
const QUEUE_EVENTS = new Set([
  'message.held',
  'message.denied',
  'message.reported',
  'message.deleted',
  'report.closed',
  'room.cleared',
  'user.banned',
  'user.erased',
]);

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
  #rate = h('strong', { title: t('live.rate') });
  #unseen = h('button', { type: 'button', class: 'unseen', hidden: true, on: { click: () => this.#list.toEnd() } });
  #panel = h('aside', { class: 'panel' });
  /** What only moderators have: the queues' counts, and the form for notices. */
  #heldButton = button('', () => this.#showPanel(this.#queue.element), { hidden: true, class: 'held-count' });
  #reportsLink;
  #sweepButton = button(t('sweep.open'), () => this.#sweeps.open(), { hidden: true });
  #noticeForm;
  #queue;
  #pin;
  #sweeps;
  #list;
  #settings;
  /** Items that are not shown yet. @type {Item[]} */
  #arrived = [];
  /** Whether a queue has changed and does not say so yet. */
  #isQueueStale = false;

  /** @param {HTMLElement} root @param {{ room: string, signal: AbortSignal }} view */
  constructor(root, { room, signal }) {
    this.#room = room;
    this.#signal = signal;
    this.#list = new MessageList({
      render: (item) => this.#row(item),
      label: t('live.list'),
      follows: true,
      pauses: true,
      max: MAX_ITEMS,
      onUnseen: (count) => this.#tellUnseen(count),
      onKey: (item, key) => this.#key(item, key),
      keys: t('list.keys.user'),
    });
    this.#settings = new SettingsPanel(room, signal);
    this.#queue = new HoldQueue(room, () => this.#closePanel());
    this.#pin = new PinBar(room, signal);
    this.#sweeps = new LiveSweeps({
      room,
      signal,
      live: this.#live,
      list: this.#list,
      apply: (event) => this.#take(event),
      fail: (error) => this.#settings.fail(error),
      showPanel: (content) => this.#showPanel(content),
      closePanel: () => this.#closePanel(),
      onMode: () => this.#describeKeys(),
    });
    this.#noticeForm = noticeForm(room);
    this.#reportsLink = h('a', { hidden: true, class: 'button', href: `#/rooms/${room}/reports` });
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
          h(
            'div',
            { class: 'bar' },
            this.#status,
            this.#rate,
            h('span', { class: 'space' }),
            this.#heldButton,
            this.#reportsLink,
            this.#sweepButton,
            openRoom,
          ),
          this.#pin.element,
          this.#sweeps.bar.element,
          h('div', { class: 'stream' }, this.#list.element, this.#unseen),
          this.#noticeForm,
        ),
        this.#panel,
      ),
    );
    fill(this.#panel, this.#settings.element);
    this.#read();
    this.#learnRights();
    const timer = setInterval(() => this.#tick(), 1_000);
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
      onGap: () => (this.#arrive({ kind: 'gap' }), this.#sweeps.bar.reload()),
      onStatus: (/** @type {any} */ status) => this.#tellStatus(status),
    });
    this.#signal.addEventListener('abort', () => reader.close());
  }

  async #learnRights() {
    try {
      this.#mayModerate = await mayModerate(this.#room, { signal: this.#signal });
      this.#list.updateAll();
      this.#describeKeys();
      this.#pin.allow(this.#mayModerate);
      this.#noticeForm.hidden = this.#sweepButton.hidden = !this.#mayModerate;
      if (this.#mayModerate) await Promise.all([this.#loadQueues(), this.#sweeps.bar.allow()]);
      // A card that was opened before shows what the user may do.
      if (this.#user) this.#openUser(this.#user);
    } catch (error) {
      if (!isAbort(error)) this.#settings.fail(error);
    }
  }

  /** What began to wait before the events of the stream. */
  async #loadQueues() {
    const signal = this.#signal;
    const [{ holds: waiting }, { reports: open }] = await Promise.all([
      holds(this.#room, { query: { first: 1_000 }, signal }),
      reports(this.#room, { query: { state: 'open', first: 100 }, signal }),
    ]);
    this.#live.addHolds(waiting);
    this.#live.addReports(open);
    this.#tellQueues();
  }

  #tellQueues() {
    const { held, reported } = this.#live;
    this.#queue.show(held);
    this.#heldButton.textContent = t('holds.count', { count: number(held.length) });
    this.#heldButton.classList.toggle('is-waiting', held.length > 0);
    this.#reportsLink.textContent = t('reports.count', { count: number(reported) });
    this.#heldButton.hidden = this.#reportsLink.hidden = !this.#mayModerate;
  }

  #tick() {
    this.#tellRate();
    this.#sweeps.bar.expire();
    const expired = this.#live.expire();
    for (const item of expired) this.#list.update(item);
    if (expired.length > 0) this.#tellQueues();
  }

  /** @param {any} event */
  #take(event) {
    const { item, changed } = this.#live.apply(event);
    for (const one of changed) this.#list.update(one);
    if (item) this.#arrive(item);
    this.#pin.show(this.#live.pinned, this.#live.message(this.#live.pinned ?? ''));
    if (QUEUE_EVENTS.has(event.type) || changed.some(({ kind }) => kind === 'held')) this.#tellQueuesSoon();
    if (event.type === 'room.updated') this.#settings.changed();
    if (event.type === 'room.swept' || event.type === 'sweep.undone') this.#sweeps.swept(event, this.#mayModerate);
    if (item?.kind === 'message') this.#sweeps.arrived(item.message);
  }

  /** A sweep of thousands of messages is thousands of events. */
  #tellQueuesSoon() {
    if (this.#isQueueStale) return;
    this.#isQueueStale = true;
    setTimeout(() => {
      this.#isQueueStale = false;
      this.#tellQueues();
    }, BATCH_MS);
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
  #tellStatus({ state, reason, retryInMs, pinned }) {
    if (state === 'live') {
      this.#live.pinned = pinned ?? null;
      this.#pin.show(this.#live.pinned, this.#live.message(pinned ?? ''));
    }
    const seconds = Math.ceil((retryInMs ?? 0) / 1_000);
    this.#status.dataset.state = state;
    this.#status.textContent = t(`live.${state}`, { reason, seconds });
    this.#status.title = reason ?? '';
    this.#list.whenEmpty(state === 'live' ? t('live.empty') : '');
  }

  #tellRate() {
    const rate = this.#live.rate();
    this.#rate.textContent = t('live.perSecond', { rate: number(rate, rate < 10 ? 1 : 0) });
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
    const onUser = (/** @type {import('./message-row.js').User} */ user) => this.#openUser(user);
    if (item.kind === 'held') return this.#queue.streamRow(item, onUser);
    const { message, isPending, note, reports = 0 } = item;
    const actions = this.#sweeps.isChoosing ? this.#sweeps.actions(message) : this.#actions(item);
    const badges = reports > 0 ? [t('message.reports', { count: number(reports) })] : [];
    const answered = message.replyTo === undefined ? undefined : this.#live.message(message.replyTo);
    const row = messageRow(message, { onUser, actions, note, badges, answered });
    row.classList.toggle('is-notice', message.notice ?? false);
    row.classList.toggle('is-pending', isPending ?? false);
    this.#sweeps.mark(row, message);
    return row;
  }

  /** @param {MessageItem} item */
  #actions(item) {
    const { message, isPending } = item;
    const actions = this.#mayModerate && !isPending ? [this.#decisionButton(item)] : [];
    if (this.#mayModerate) {
      if (!message.deleted) actions.push(rowAction(t('message.pin'), () => this.#decide(item, pin)));
      actions.push(rowAction(t('user.act'), () => this.#openUser(message.user)));
      if (!message.deleted) actions.push(rowAction(t('sweep.open'), () => this.#sweeps.open(message.text)));
    }
    const details = { room: this.#room, message, signal: this.#signal, onClose: () => this.#closePanel() };
    actions.push(rowAction(t('message.details'), () => this.#showPanel(messageCard(details))));
    return actions;
  }

  /** @param {MessageItem} item */
  #decisionButton(item) {
    if (item.message.deleted) return rowAction(t('message.restore'), () => this.#decide(item, restoreMessage));
    return rowAction(t('message.delete'), () => this.#decide(item, deleteMessage));
  }

  /**
   * The stream says when the message is gone, or back. It says nothing of the row of a pinned message.
   * @param {MessageItem} item @param {typeof restoreMessage} decide
   */
  async #decide(item, decide) {
    item.isPending = true;
    item.note = undefined;
    this.#list.update(item);
    try {
      await decide(this.#room, item.message.id);
      if (decide === pin) {
        item.isPending = false;
        this.#list.update(item);
      }
    } catch (error) {
      item.isPending = false;
      item.note = explain(error);
      this.#list.update(item);
    }
  }

  /** @param {Item} item @param {string} key */
  #key(item, key) {
    if (item.kind !== 'message') return false;
    if (key === 'Enter' && this.#sweeps.isChoosing) this.#sweeps.toggleText(item.message);
    else if (key === 'Enter') this.#openUser(item.message.user);
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

  #describeKeys() {
    const enter = t(this.#sweeps.isChoosing ? 'list.keys.sweep' : 'list.keys.user');
    this.#list.describeKeys(this.#mayModerate ? `${enter} ${t('list.keys.delete')}` : enter);
  }

  /** @param {HTMLElement} content */
  #showPanel(content) {
    this.#sweeps.leave();
    this.#panel.classList.add('is-open');
    fill(this.#panel, content === this.#settings.element ? this.#closeButton() : null, content);
    this.#panel.querySelector('h2')?.focus();
  }

  #closeButton() {
    return button(t('close'), () => this.#closePanel(), { class: 'only-narrow close' });
  }

  #closePanel() {
    this.#user = null;
    this.#sweeps.leave();
    this.#panel.classList.remove('is-open');
    fill(this.#panel, this.#settings.element);
    this.#list.element.focus();
  }
}
