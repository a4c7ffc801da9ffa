// @ts-check
/** A panel beside a list, with a heading and a button that closes it. */

import { button, h } from './dom.js';
import { t } from './i18n.js';

/** @typedef {Parameters<typeof h>[2]} Content */

/**
 * @param {{ title: Content, beside?: Content, onClose: () => void }} heading `beside` stands next to the title
 * @param {...Content} content
 */
export function card({ title, beside, onClose }, ...content) {
  return h(
    'section',
    { class: 'card' },
    h(
      'header',
      {},
      h('h2', { tabindex: '-1' }, title),
      beside,
      h('span', { class: 'space' }),
      button(t('close'), onClose, { class: 'close' }),
    ),
    ...content,
  );
}
