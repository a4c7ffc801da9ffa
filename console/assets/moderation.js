// @ts-check
/** What a moderator can decide about a room (docs/reference/moderation.md). Each function is one request. */

import { ask, decide, get } from './api.js';

/** @typedef {import('./api.js').Options} Options */
/** @typedef {string | number} Idx */

/** @param {Idx} room @param {Idx} user @param {boolean} [everywhere] */
const banPath = (room, user, everywhere) => (everywhere ? `/v1/bans/${user}` : `/v1/rooms/${room}/bans/${user}`);

/** Messages that wait for a moderator, the oldest first. @param {Idx} room @param {Options} [options] */
export const holds = (room, options) => get('ingest', `/v1/rooms/${room}/holds`, options);

/** @param {Idx} room @param {string} id */
export const releaseHold = (room, id) => decide('POST', `/v1/rooms/${room}/holds/${id}/release`, {});

/** @param {Idx} room @param {string} id @param {string} [reason] */
export const denyHold = (room, id, reason) =>
  decide('POST', `/v1/rooms/${room}/holds/${id}/deny`, { query: { reason } });

/** A page of reported messages. @param {Idx} room @param {Options} options */
export const reports = (room, options) => get('archive', `/v1/rooms/${room}/reports`, options);

/** @param {Idx} room @param {string} id of the message @param {string} [reason] */
export const closeReports = (room, id, reason) =>
  decide('POST', `/v1/rooms/${room}/reports/${id}/close`, { body: { ...(reason && { reason }) } });

/** @param {Idx} room @param {string} text */
export const postNotice = (room, text) => decide('POST', `/v1/rooms/${room}/notices`, { body: { text } });

/** @param {Idx} room @param {string} messageId */
export const pin = (room, messageId) => decide('PUT', `/v1/rooms/${room}/pin`, { body: { messageId } });

/** @param {Idx} room */
export const unpin = (room) => decide('DELETE', `/v1/rooms/${room}/pin`, {});

/** @param {Idx} room @param {string} id @param {string} [reason] */
export const deleteMessage = (room, id, reason) =>
  decide('DELETE', `/v1/rooms/${room}/messages/${id}`, { query: { reason } });

/** Undoes the deletion. @param {Idx} room @param {string} id */
export const restoreMessage = (room, id) => decide('DELETE', `/v1/rooms/${room}/messages/${id}/deletion`, {});

/** Deletes every message so far. @param {Idx} room @param {string} [reason] */
export const clearRoom = (room, reason) => decide('DELETE', `/v1/rooms/${room}/messages`, { query: { reason } });

/** Sweeps that can be undone. @param {Idx} room @param {Options} [options] */
export const sweeps = (room, options) => get('ingest', `/v1/rooms/${room}/sweeps`, options);

/**
 * What the sweep would delete now.
 * @param {Idx} room @param {import('./sweep-rule.js').Sweep} sweep @param {Options} options
 */
export const trySweep = (room, { rule, secondsBack }, options) =>
  ask('ingest', `/v1/rooms/${room}/sweeps`, { ...options, body: { rule, secondsBack, dryRun: true } });

/** @param {Idx} room @param {import('./sweep-rule.js').Sweep & { reason?: string }} sweep */
export const sweep = (room, { rule, secondsBack, reason }) =>
  decide('POST', `/v1/rooms/${room}/sweeps`, { body: { rule, secondsBack, ...(reason && { reason }) } });

/** @param {Idx} room @param {string} id */
export const undoSweep = (room, id) => decide('DELETE', `/v1/rooms/${room}/sweeps/${id}`, {});

/**
 * Without `seconds`: permanently. `purgeSeconds` deletes what the user wrote in the room so far back.
 * @param {Idx} room @param {Idx} user
 * @param {{ seconds?: number, purgeSeconds?: number, reason?: string, everywhere?: boolean }} ban
 */
export const ban = (room, user, { seconds, purgeSeconds, reason, everywhere }) =>
  decide('PUT', banPath(room, user, everywhere), {
    body: { ...(seconds && { seconds }), ...(purgeSeconds && { purgeSeconds }), ...(reason && { reason }) },
  });

/** @param {Idx} room @param {Idx} user @param {{ reason?: string, everywhere?: boolean }} [options] */
export const unban = (room, user, { reason, everywhere } = {}) =>
  decide('DELETE', banPath(room, user, everywhere), { query: { reason } });

/** The user's ban in the room, or null. @param {Idx} room @param {Idx} user @param {Options} [options] */
export const banOf = (room, user, options) =>
  get('ingest', banPath(room, user), options).catch((error) => {
    if (error.code === 'not_banned') return null;
    throw error;
  });

/** @param {Idx} room @param {Idx} user @param {string} reason what the user is told */
export const warn = (room, user, reason) =>
  decide('PUT', `/v1/rooms/${room}/warnings/${user}`, { body: { reason } });

/** @param {Idx} room @param {Idx} user */
export const withdrawWarning = (room, user) => decide('DELETE', `/v1/rooms/${room}/warnings/${user}`, {});

/** The user's warning in the room, or null. @param {Idx} room @param {Idx} user @param {Options} [options] */
export const warningOf = (room, user, options) =>
  get('ingest', `/v1/rooms/${room}/warnings/${user}`, options).catch((error) => {
    if (error.code === 'not_warned') return null;
    throw error;
  });

/** The notes on a user, the oldest first. @param {Idx} room @param {Idx} user @param {Options} [options] */
export const notesOn = async (room, user, options) =>
  (await get('ingest', `/v1/rooms/${room}/users/${user}/notes`, options)).notes;

/** @param {Idx} room @param {Idx} user @param {string} text */
export const addNote = (room, user, text) =>
  decide('POST', `/v1/rooms/${room}/users/${user}/notes`, { body: { text } });

/** @param {Idx} room @param {Idx} user @param {string} id */
export const deleteNote = (room, user, id) => decide('DELETE', `/v1/rooms/${room}/users/${user}/notes/${id}`, {});

/** A page of bans. @param {Idx} room @param {boolean} everywhere @param {Options} options */
export const bans = (room, everywhere, options) =>
  get('ingest', everywhere ? '/v1/bans' : `/v1/rooms/${room}/bans`, options);

/** A page of the room's moderators. @param {Idx} room @param {Options} options */
export const moderators = (room, options) => get('ingest', `/v1/rooms/${room}/moderators`, options);

/** @param {Idx} room @param {Idx} user @param {{ reason?: string }} [options] */
export const appoint = (room, user, { reason } = {}) =>
  decide('PUT', `/v1/rooms/${room}/moderators/${user}`, { body: { ...(reason && { reason }) } });

/** @param {Idx} room @param {Idx} user */
export const removeModerator = (room, user) => decide('DELETE', `/v1/rooms/${room}/moderators/${user}`, {});

/** @param {Idx} room @param {Options} [options] */
export const settings = (room, options) => get('ingest', `/v1/rooms/${room}/settings`, options);

/** @param {Idx} room @param {{ settings: Record<string, unknown>, seconds?: number, reason?: string }} patch */
export const changeSettings = (room, { settings: changed, seconds, reason }) =>
  decide('PATCH', `/v1/rooms/${room}/settings`, {
    body: { settings: changed, ...(seconds && { seconds }), ...(reason && { reason }) },
  });

/**
 * Whether the signed-in user may moderate the room. The server knows: not only scopes count.
 * @param {Idx} room @param {Options} [options]
 */
export const mayModerate = (room, options) =>
  settings(room, options).then(
    () => true,
    (error) => {
      if (error.status === 403) return false;
      throw error;
    },
  );
