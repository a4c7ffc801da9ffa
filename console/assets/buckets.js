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
 * Without a last bucket that the end cuts short: fewer messages fit in it, and a line would fall there.
 * @param {Bucket[]} buckets @param {number} seconds of each @param {number} until milliseconds since 1970
 */
export function withoutRest(buckets, seconds, until) {
  const last = buckets.at(-1);
  const isCut = last !== undefined && Date.parse(last.at) + seconds * 1_000 > until;
  return isCut && buckets.length > 1 ? buckets.slice(0, -1) : buckets;
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
