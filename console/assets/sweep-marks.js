// @ts-check
/**
 * Which messages of the stream a sweep would delete, from the answer of its dry run. The answer names the latest. Others
 * are known by the text of one of these, or by their similarity. Each that is marked would be deleted. Some that would be
 * may have no mark.
 */

import { similarTo } from './similarity.js';

/** @typedef {import('./message-row.js').Message} Message */
/** @typedef {import('./sweep-rule.js').Sweep} Sweep */

export class Marks {
  #rule;
  #secondsBack;
  #ids;
  #texts;
  #isSimilar;
  /** Whether the rule looks at texts: whatever is no condition about the author or the flags does. */
  #isAboutTexts;

  /** @param {Sweep} sweep @param {{ id: string, text: string }[]} latest */
  constructor({ rule, secondsBack }, latest) {
    this.#rule = rule;
    this.#secondsBack = secondsBack;
    this.#ids = new Set(latest.map(({ id }) => id));
    const { texts = [], similarity } = rule;
    this.#texts = new Set([...latest.map(({ text }) => text), ...texts]);
    this.#isSimilar = similarity ? similarTo(texts, similarity) : () => false;
    this.#isAboutTexts = Object.keys(rule).some((name) => !['users', 'label'].includes(name));
  }

  /** @param {Message} message */
  has({ id, user, text, sentAt, flags = [], notice, deleted }, now = Date.now()) {
    if (deleted || text === undefined) return false;
    if (this.#ids.has(id)) return true;
    const { users, label } = this.#rule;
    return (
      !notice &&
      (users ? users.includes(Number(user.idx)) : user.role === 'viewer') &&
      (!label || flags.includes(label)) &&
      Date.parse(sentAt) >= now - this.#secondsBack * 1_000 &&
      (!this.#isAboutTexts || this.#texts.has(text) || this.#isSimilar(text))
    );
  }
}
