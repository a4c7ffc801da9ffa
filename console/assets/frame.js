// @ts-check
/** The frame around each view: the room, the navigation, the language, and who is signed in until when. */

import { button, h, userText } from './dom.js';
import { minute } from './format.js';
import { chooseLanguage, language, t } from './i18n.js';
import { address, ROOM_VIEWS } from './routes.js';
import { session } from './session.js';

/** @typedef {import('./routes.js').Route} Route */

/** The room on display, or the last one: a view of no room leads back to it. @type {string | undefined} */
let room;

/** @param {Route} route @param {() => void} again shows the page again */
export function frame(route, again) {
  room = route.room ?? room;
  return h(
    'header',
    { class: 'top' },
    h('a', { class: 'brand', href: '#/' }, t('title')),
    session.isSignedIn && roomForm(route),
    session.isSignedIn && navigation(route),
    h('span', { class: 'space' }),
    languageSwitch(again),
    session.isSignedIn && identity(),
  );
}

/** @param {Route} route */
function roomForm(route) {
  const input = h('input', {
    inputmode: 'numeric',
    pattern: '[1-9][0-9]{0,15}',
    required: true,
    size: 8,
    value: room ?? '',
    'aria-label': t('room.number'),
    placeholder: t('room.placeholder'),
    title: t('room.rule'),
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const view = ROOM_VIEWS.includes(route.view) ? route.view : 'live';
    location.hash = address({ view, room: input.value, query: {} });
  };
  return h('form', { class: 'room', on: { submit } }, h('span', {}, t('room')), input, h('button', {}, t('room.open')));
}

/** @param {Route} route */
function navigation(route) {
  const active = ['broadcast', 'replay'].includes(route.view) ? 'broadcasts' : route.view;
  const link = (/** @type {string} */ view) =>
    h('a', { href: address({ view, room, query: {} }), 'aria-current': view === active && 'page' }, t(`view.${view}`));
  const views = room ? [...ROOM_VIEWS, 'operator'] : ['operator'];
  return h('nav', { 'aria-label': t('navigation') }, views.map(link));
}

/** @param {() => void} again */
function languageSwitch(again) {
  const other = language() === 'ko' ? 'en' : 'ko';
  const choose = () => {
    chooseLanguage(other);
    again();
  };
  return button(other === 'ko' ? '한국어' : 'English', choose, { class: 'plain', lang: other });
}

function identity() {
  const { nickname = '', userIdx, expiresAt = 0 } = session.claims ?? {};
  const until = t('signedIn.until', { at: minute(expiresAt) });
  return h(
    'div',
    { class: 'identity' },
    h(
      'span',
      { class: 'who', title: until },
      userText(nickname || String(userIdx)),
      h('span', { class: 'quiet' }, until),
    ),
    button(t('signOut'), () => session.signOut(), { class: 'plain' }),
  );
}
