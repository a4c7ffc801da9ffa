// @ts-check
/**
 * Posts a message as a gateway does: while the outcome is unknown it is posted again under the same key, so that it is
 * stored once.
 */

/** Longer than ingest takes for an append, so that ingest answers first. */
const ANSWER_TIMEOUT_MS = 15_000;

const PATIENCE_MS = 120_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

/**
 * @typedef {{ outcome: 'accepted', id: string, position: string, sinceMs: number }
 *   | { outcome: 'refused', status: number, code: string, detail: string }
 *   | { outcome: 'unknown' }} Outcome
 */

/**
 * @param {string} ingest `host:port`
 * @param {number} room
 * @param {string} token
 * @param {string} text
 * @param {() => void} onRetry
 * @returns {Promise<Outcome>}
 */
export async function post(ingest, room, token, text, onRetry) {
  const [key, sinceMs] = [crypto.randomUUID(), Date.now()];
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    const outcome = await attempt(`http://${ingest}/v1/rooms/${room}/messages`, token, key, text);
    if (outcome) return outcome.outcome === 'accepted' ? { ...outcome, sinceMs } : outcome;
    if (Date.now() - sinceMs > PATIENCE_MS) return { outcome: 'unknown' };
    onRetry();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Null: the outcome is unknown. @param {string} url @param {string} token @param {string} key @param {string} text */
async function attempt(url, token, key, text) {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'idempotency-key': key },
      body: JSON.stringify({ text }),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    if (response.status >= 500) return null;
    const { id, position, code, detail } = await response.json();
    return /** @type {any} */ (
      response.ok
        ? { outcome: 'accepted', id, position }
        : { outcome: 'refused', status: response.status, code, detail }
    );
  } catch {
    return null;
  }
}
