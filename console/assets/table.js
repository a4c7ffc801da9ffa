// @ts-check
/**
 * A table. On a phone each row stands alone, with the name of its column before each cell. The roles keep it a table there
 * for screen readers.
 */

import { fill, h } from './dom.js';

/** @typedef {Parameters<typeof h>[2]} Content */

/** @param {string} label @param {string[]} columns their names. The first one names the row */
export function table(label, columns) {
  const body = h('tbody', { role: 'rowgroup' });
  const header = (/** @type {string} */ name) => h('th', { scope: 'col', role: 'columnheader' }, name);
  const element = h(
    'table',
    { class: 'records', role: 'table', 'aria-label': label },
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(header))),
    body,
  );
  const row = (/** @type {Content[]} */ [name, ...cells]) =>
    h(
      'tr',
      { role: 'row' },
      h('th', { scope: 'row', role: 'rowheader' }, name),
      cells.map((cell, at) => h('td', { role: 'cell', data: { column: columns[at + 1] } }, cell)),
    );
  return {
    element,
    /** Adds rows. @param {Content[][]} rows the cells of each */
    append: (rows) => body.append(...rows.map(row)),
    clear: () => fill(body),
  };
}
