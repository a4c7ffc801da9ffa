// @ts-check
/** What happens in equal pieces of time, as the archive's statistics count it. */

/** @typedef {{ at: string, messages: number, chatters: number }} Bucket */

/** A chart has at most so many points. */
const POINTS = 600;

/** Seconds of a bucket. */
const LENGTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400, 86_400];

/** Seconds of the shortest buckets that are few enough for a chart of that length. @param {number} ms */
export function bucketSeconds(ms) {
  return LENGTHS.find((seconds) => ms / 1_000 / seconds <= POINTS) ?? 86_400;
}

/**
 * The first bucket with the most messages: how many, and milliseconds from the start to its own.
 * @param {Bucket[]} buckets @param {number} seconds of each
 */
export function busiest(buckets, seconds) {
  const most = buckets.reduce((most, { messages }) => Math.max(most, messages), 0);
  const index = buckets.findIndex(({ messages }) => messages === most);
  return { most, at: Math.max(0, index) * seconds * 1_000 };
}
