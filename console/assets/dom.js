// @ts-check
/**
 * Builds elements. Whatever a user typed becomes a text node, and nothing here parses markup: the page's policy refuses
 * it as well.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. `on` has listeners, `data` the dataset; a property that is `false`, null or undefined is left out.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Child | Child[])} children
 * @returns {any}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, data = {}, ...attributes } = properties;
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'value' || name === 'checked') Object.assign(element, { [name]: value });
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/**
 * Replaces what is in the element.
 * @template {Element} Kind
 * @param {Kind} element @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Text of a user: isolated, so that its direction turns nothing around it. @param {unknown} text */
export function userText(text, className = '') {
  return h('bdi', { class: className || false }, String(text ?? ''));
}

/** A labelled control. @param {string} label @param {HTMLElement} control @param {...Child} more */
export function field(label, control, ...more) {
  return h('label', { class: 'field' }, h('span', { class: 'field-label' }, label), control, ...more);
}

/** @param {string} label @param {() => void} action @param {Record<string, any>} [properties] */
export function button(label, action, properties = {}) {
  return h('button', { type: 'button', on: { click: action }, ...properties }, label);
}

/** @param {Record<string, string>} options by value @param {string} chosen @param {Record<string, any>} [properties] */
export function select(options, chosen, properties = {}) {
  const list = Object.entries(options).map(([value, label]) =>
    h('option', { value, selected: value === chosen }, label),
  );
  return h('select', properties, list);
}

/** @param {(Child | Child[])[]} children */
function nodes(children) {
  const shown = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return shown.map((child) => (child instanceof Node ? child : String(child)));
}
