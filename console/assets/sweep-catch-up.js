// @ts-check
/**
 * What a sweep, or its undoing, did to messages that are older than delivery's window. The stream does not tell it, and
 * the archive does, a little later.
 */

/**
 * Delivery holds the messages of the last ten minutes, or of less: those of the last two come in the stream for certain.
 * A message that both tell of is hidden once.
 */
const CERTAIN_MS = 2 * 60_000;

/** Messages on a page of the search. */
const PAGE = 1_000;

/** More than the stream of the console holds. */
const MOST_PAGES = 20;

/** @typedef {import('./live-room.js').LiveRoom} LiveRoom */

/**
 * @param {{ event: any, live: LiveRoom, search: (query: any) => Promise<any>, apply: (event: any) => void }} options
 *   `event`: the `room.swept` or `sweep.undone`. `search` is that of the room. `apply` takes the events that are missing
 */
export async function catchUp({ event, live, search, apply }) {
  const { type, id, target, at, by, reason, secondsBack } = event;
  const isUndone = type === 'sweep.undone';
  const [since, until] = [Date.parse(at) - secondsBack * 1_000, Date.parse(at) - CERTAIN_MS];
  const concerned = [...live.messages()].filter(({ sentAt, deleted }) => {
    if (isUndone) return deleted?.sweep === target;
    return !deleted && Date.parse(sentAt) >= since && Date.parse(sentAt) < until;
  });
  if (concerned.length === 0) return;
  const times = concerned.map(({ sentAt }) => Date.parse(sentAt));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const query = {
    from: new Date(first).toISOString(),
    to: new Date(last + 1).toISOString(),
    first: PAGE,
    ...(!isUndone && { decision: id }),
  };
  const ids = new Set(concerned.map((message) => message.id));
  let after;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { messages, next } = await search({ ...query, after });
    for (const message of messages.filter((/** @type {any} */ found) => ids.has(found.id))) {
      if (isUndone) apply({ type: 'message.restored', target: message.id, message, sweep: target, at });
      else apply({ type: 'message.deleted', target: message.id, sweep: id, by, reason, at });
    }
    after = next;
    if (!next) return;
  }
}
