// @ts-check
/** A list of the API, page by page. */

import { button, h } from './dom.js';
import { number } from './format.js';
import { t } from './i18n.js';
import { isAbort, Outcome } from './outcome.js';

/** A page may be empty and still have a next. After so many in a row the user decides whether to go on. */
const EMPTY_PAGES = 8;

/**
 * The bar below a list: how many items there are, and a button for more. `load` gets a page, `show` takes its items.
 * @param {{
 *   load: (after: string | undefined) => Promise<{ items: any[], next?: string }>,
 *   show: (items: any[]) => void, onNone?: () => void,
 * }} options `onNone`: there are no items
 */
export function pager({ load, show, onNone = () => {} }) {
  const outcome = new Outcome();
  const more = button(t('pages.more'), () => read(), { hidden: true });
  /** @type {string | undefined} */
  let after;
  let count = 0;
  const read = async () => {
    more.disabled = true;
    outcome.tell(t('loading'));
    try {
      for (let page = 0; page < EMPTY_PAGES; page++) {
        const { items, next } = await load(after);
        after = next;
        count += items.length;
        show(items);
        if (items.length > 0 || !next) break;
      }
      more.hidden = after === undefined;
      const key = after === undefined ? (count > 0 ? 'pages.all' : 'pages.none') : 'pages.soFar';
      outcome.tell(t(key, { count: number(count) }));
      if (key === 'pages.none') onNone();
    } catch (error) {
      if (!isAbort(error)) more.hidden = false;
      outcome.fail(error);
    } finally {
      more.disabled = false;
    }
  };
  read();
  return h('div', { class: 'bar foot' }, outcome.element, h('span', { class: 'space' }), more);
}
