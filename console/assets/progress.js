// @ts-check
/** How many of several things are done: a bar, and words that screen readers announce. */

import { h } from './dom.js';
import { number } from './format.js';

export class Progress {
  #say;
  #all;
  #done = 0;
  #bar;
  #text = h('span', { role: 'status' });
  element;

  /** @param {number} all @param {(counts: { done: string, all: string }) => string} say */
  constructor(all, say) {
    this.#all = all;
    this.#say = say;
    this.#bar = h('progress', { max: all, 'aria-hidden': 'true' });
    this.element = h('p', { class: 'progress quiet' }, this.#bar, this.#text);
    this.#show();
  }

  /** One more is done. */
  step() {
    this.#done++;
    this.#show();
  }

  #show() {
    const isDone = this.#done === this.#all;
    this.#bar.value = this.#done;
    this.#text.textContent = isDone ? '' : this.#say({ done: number(this.#done), all: number(this.#all) });
    // It keeps its place: nothing below it moves under the pointer.
    this.element.classList.toggle('is-done', isDone);
  }
}
