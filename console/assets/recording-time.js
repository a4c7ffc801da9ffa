// @ts-check
/** Where a moment is in the recording of a broadcast, which pauses while the presenter is away. */

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
