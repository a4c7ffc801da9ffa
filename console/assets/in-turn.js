// @ts-check
/**
 * Requests one after another. The archive computes one thing at a time for a user. A page that asks for more at once
 * holds connections that other pages of this browser need.
 */

/** Never fails. @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * Runs the request once all earlier ones have ended, well or not.
 * @template Answer
 * @param {() => Promise<Answer>} request @returns {Promise<Answer>}
 */
export function inTurn(request) {
  const answer = last.then(request);
  last = answer.catch(() => {});
  return answer;
}
