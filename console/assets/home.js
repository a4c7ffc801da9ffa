// @ts-check
/** The first view: which room to open. */

import { fill, h } from './dom.js';
import { t } from './i18n.js';
import { session } from './session.js';

/** @param {HTMLElement} root */
export async function mount(root) {
  const own = session.claims?.userIdx;
  const places = /** @type {[string, string][]} */ ([
    [`#/rooms/${own}/live`, 'live'],
    [`#/rooms/${own}/search`, 'search'],
    [`#/rooms/${own}/broadcasts`, 'broadcasts'],
  ]);
  fill(
    root,
    h(
      'div',
      { class: 'page narrow' },
      h('h1', {}, t('home.title')),
      h('p', {}, t('home.explained')),
      h('h2', {}, t('home.own', { room: own })),
      h(
        'ul',
        { class: 'links' },
        places.map(([href, view]) => h('li', {}, h('a', { href }, t(`view.${view}`)))),
      ),
    ),
  );
}
