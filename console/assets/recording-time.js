// @ts-check
/** Where a moment is in the recording of a broadcast, which pauses while the presenter is away. */

import { address } from './routes.js';

/** A link to a moment leads to what was said shortly before it. */
const BEFORE_MS = 5_000;

/**
 * The address of the replay at that moment, or as long before it as given.
 * @param {string} room
 * @param {{ id: string, segments: { startedAt: string, endedAt: string | null, offsetMs: number }[] }} broadcast
 * @param {number} at milliseconds since 1970
 */
export function replayAddress(room, broadcast, at, beforeMs = BEFORE_MS) {
  const place = Math.max(0, Math.round(recordingTime(broadcast, at) - beforeMs));
  return address({ view: 'replay', room, broadcast: broadcast.id, query: { t: String(place) } });
}

/**
 * Milliseconds into the recording. A moment between two segments is at the cut.
 * @param {{ segments: { startedAt: string, endedAt: string | null, offsetMs: number }[] }} broadcast
 * @param {number} at milliseconds since 1970
 */
export function recordingTime({ segments }, at) {
  const segment = segments.findLast(({ startedAt }) => Date.parse(startedAt) <= at) ?? segments[0];
  const started = Date.parse(segment.startedAt);
  const length = segment.endedAt ? Date.parse(segment.endedAt) - started : Infinity;
  return segment.offsetMs + Math.max(0, Math.min(length, at - started));
}
