// @ts-check
/**
 * How similar two texts are: the Dice coefficient of their bigrams, as the server computes it for a sweep
 * (docs/reference/moderation.md). Only for texts that the server folds by their case alone: ASCII and Hangul.
 */

const PLAIN = /^[\0-\x7f가-힣\u3131-\u3163]*$/;

/** The text as the server folds it. Null: this takes the server. @param {string} text */
export function folded(text) {
  return PLAIN.test(text) ? text.toLowerCase() : null;
}

/**
 * Whether a text is similar to one of these. False, too, where only the server knows.
 * @param {string[]} texts @param {number} least 0.5 to 1, in hundredths
 * @returns {(text: string) => boolean}
 */
export function similarTo(texts, least) {
  const known = texts.map(folded).filter((text) => text !== null);
  const wanted = new Set(known);
  const sets = known.map(bigrams);
  const percent = Math.round(least * 100);
  return (text) => {
    const plain = folded(text);
    if (plain === null) return false;
    if (wanted.has(plain)) return true;
    const own = bigrams(plain);
    return sets.some((other) => {
      const all = own.length + other.length;
      const isEnough = (/** @type {number} */ common) => all > 0 && 200 * common >= percent * all;
      // No more can be common.
      return isEnough(Math.min(own.length, other.length)) && isEnough(common(own, other));
    });
  };
}

/** Every two consecutive characters, sorted. @param {string} text of characters of one UTF-16 unit */
function bigrams(text) {
  return Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => text.slice(at, at + 2)).sort();
}

/** How many both have. @param {string[]} own @param {string[]} other sorted */
function common(own, other) {
  let [count, at, otherAt] = [0, 0, 0];
  while (at < own.length && otherAt < other.length) {
    if (own[at] === other[otherAt]) [count, at, otherAt] = [count + 1, at + 1, otherAt + 1];
    else if (own[at] < other[otherAt]) at += 1;
    else otherAt += 1;
  }
  return count;
}
