// @ts-check
/** The control API of `dev` (src/dev/demo.rs). */

/** @typedef {{ user: number, nickname: string, token: string }} Person */
/** @typedef {{ en: string, ko: string, command: string }} Example */
/**
 * @typedef {{
 *   run: string, room: number, ingest: string, delivery: string, archiver: string, examples: Example[],
 *   people: { presenter: Person, viewers: Person[], moderator: Person },
 * }} Setup
 */
/**
 * @typedef {{
 *   name: string, state: 'running' | 'down' | 'starting', downMs: number | null, backAfterMs: number | null,
 * }} Part
 */
/**
 * @typedef {{
 *   running: boolean, speed: number, atMs: number, lengthMs: number, sending: number, refused: number, unknown: number,
 * }} Playing
 */
/**
 * @typedef {{
 *   run: string, parts: Part[], playing: Playing,
 *   accepted: { messages: { id: string, position: string, sinceMs: number }[], next: number },
 * }} State
 */

/** It is on this machine: a longer silence means that it has stopped. */
const TIMEOUT_MS = 5_000;

/** @returns {Promise<Setup>} */
export const setup = async () => (await call('/api/setup')).json();

/** @param {number | null} after @returns {Promise<State>} */
export const state = async (after) => (await call(after === null ? '/api/state' : `/api/state?after=${after}`)).json();

/** @param {boolean} running @param {number} speed */
export const play = (running, speed) => call('/api/play', { running, speed });

/** @param {string} part @param {number} downMs */
export const kill = (part, downMs) => call(`/api/parts/${encodeURIComponent(part)}/kill`, { downMs });

/** @param {string} path @param {object} [body] */
async function call(path, body) {
  const post = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(path, { ...post, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(await response.text());
  return response;
}
