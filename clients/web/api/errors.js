// @ts-check
/** What a call throws. Branch on the class and on `code`; `detail` is for people and may change. */

/** @typedef {import('./index.d.ts').ErrorDetails} ErrorDetails */

export class ChattingError extends Error {
  /** @param {string} detail @param {ErrorDetails} [details] @param {ErrorOptions} [options] */
  constructor(detail, details = {}, options) {
    const { status, code, retryAfterMs, outcome, idempotencyKey, problem } = details;
    const named = [status, code].filter(Boolean).join(' ') + (outcome ? `, outcome ${outcome}` : '');
    super(status ? `${named}: ${detail}` : detail, options);
    this.name = new.target.name;
    this.detail = detail;
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.outcome = outcome;
    this.idempotencyKey = idempotencyKey;
    this.problem = problem ?? {};
  }
}

export class Refused extends ChattingError {}

export class RateLimited extends Refused {}

export class Unavailable extends ChattingError {}

/** A 2xx without a JSON object is a proxy's page. 408: the body came too slowly. 5xx: the server, or a proxy. */
const isRetried = (/** @type {number} */ status) => status < 300 || status === 408 || status >= 500;

/**
 * The error that an answer stands for.
 * @param {Response} answer @param {any} body @param {boolean} mayBeStored whether an earlier attempt may have taken effect
 * @param {string} [idempotencyKey]
 */
export function refusal(answer, body, mayBeStored, idempotencyKey) {
  const { status } = answer;
  const after = answer.headers.get('Retry-After') ?? '';
  const Kind = status === 429 ? RateLimited : isRetried(status) ? Unavailable : Refused;
  const isUnknown = mayBeStored || (Kind === Unavailable && body?.outcome !== 'not_stored');
  return new Kind(body?.detail ?? `the server answered ${status}`, {
    status,
    code: body?.code,
    retryAfterMs: /^\d+$/.test(after) ? Number(after) * 1_000 : undefined,
    outcome: idempotencyKey === undefined ? undefined : isUnknown ? 'unknown' : body?.outcome,
    idempotencyKey,
    problem: body,
  });
}
