// @ts-check
/** Looks in the archive, through the archiver's search, for the messages that have not been seen there yet. */

/** Clocks of one machine differ by less. */
const MARGIN_MS = 1_000;

const TIMEOUT_MS = 5_000;

/**
 * @param {string} archiver `host:port`
 * @param {number} room
 * @param {string} token the presenter's: it may see deleted messages of the room
 * @param {import('./ledger.js').Ledger} ledger
 * @param {string} place its name in the ledger
 */
export async function look(archiver, room, token, ledger, place) {
  const missing = ledger.missing(place);
  if (missing.length === 0) return;
  const since = missing.reduce((least, { sinceMs }) => Math.min(least, sinceMs), Infinity) - MARGIN_MS;
  const query = new URLSearchParams({ from: new Date(since).toISOString(), deleted: 'include', first: '1000' });
  const wanted = new Set(missing.map(({ id }) => id));
  /** @type {{ id: string, position: string }[]} */
  const listed = [];
  while (wanted.size > 0) {
    const response = await fetch(`http://${archiver}/v1/rooms/${room}/messages?${query}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) return;
    const { messages, next } = await response.json();
    listed.push(...messages);
    for (const { id } of messages) wanted.delete(id);
    if (!next) break;
    query.set('after', next);
  }
  ledger.list(place, listed);
}
