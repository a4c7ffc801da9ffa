// @ts-check
/** The emotes in a message's text. Ranges count code points, and a string's own places count UTF-16 units. */

/** @typedef {{ id: string, start: number, end: number }} Emote */

/**
 * The text in parts; one with an `id` is an emote. A range that is not in the text, or over an earlier one, is left
 * out.
 * @param {string} text @param {Emote[]} [emotes] in the order of the text
 */
export function fragments(text, emotes = []) {
  const codePoints = Array.from(text);
  /** @type {{ text: string, id?: string }[]} */
  const parts = [];
  let at = 0;
  for (const { id, start, end } of emotes) {
    if (!(at <= start && start < end && end <= codePoints.length)) continue;
    if (at < start) parts.push({ text: codePoints.slice(at, start).join('') });
    parts.push({ text: codePoints.slice(start, end).join(''), id });
    at = end;
  }
  if (at < codePoints.length) parts.push({ text: codePoints.slice(at).join('') });
  return parts;
}
