// @ts-check
/**
 * The signed-in user: a token, and whom it names. The token is kept in memory and in this tab's session storage: it
 * survives a reload and ends with the tab.
 */

import { t } from './i18n.js';

/** @typedef {{ userIdx: number, nickname: string, scopes: string[], expiresAt: number }} Claims */

const KEY = 'chat-console-token';

/** The longest timer of a browser. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Events: `change` when someone signs in or out, `expired` when a new token is needed. */
class Session extends EventTarget {
  /** @type {string | null} */
  #token = null;
  /** @type {Claims | null} */
  #claims = null;
  /** Those who wait for a new token. @type {(() => void)[]} */
  #waiting = [];
  #timer = 0;

  constructor() {
    super();
    const stored = sessionStorage.getItem(KEY);
    if (!stored) return;
    try {
      this.#keep(stored);
    } catch {
      sessionStorage.removeItem(KEY);
    }
  }

  get token() {
    return this.#token;
  }

  get claims() {
    return this.#claims;
  }

  get isSignedIn() {
    return this.#token !== null;
  }

  /** @param {string} scope */
  has(scope) {
    return this.#claims?.scopes.includes(scope) ?? false;
  }

  /** Throws an error for the user if the text is not a token that is still valid. @param {string} token */
  signIn(token) {
    this.#keep(token);
    for (const resume of this.#waiting.splice(0)) resume();
    this.dispatchEvent(new Event('change'));
  }

  signOut() {
    this.#forget();
    this.dispatchEvent(new Event('change'));
  }

  /** Waits until the user has signed in again. @returns {Promise<void>} */
  renewed() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.expire();
    });
  }

  /** The token is no longer accepted. */
  expire() {
    const { userIdx } = this.#claims ?? {};
    this.#forget();
    this.dispatchEvent(new CustomEvent('expired', { detail: { userIdx } }));
  }

  /** @param {string} token */
  #keep(token) {
    const claims = readToken(token);
    this.#forget();
    this.#token = token;
    this.#claims = claims;
    sessionStorage.setItem(KEY, token);
    const left = Math.min(LONGEST_TIMER_MS, claims.expiresAt - Date.now());
    this.#timer = setTimeout(() => claims.expiresAt <= Date.now() && this.expire(), left);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#token = null;
    this.#claims = null;
    sessionStorage.removeItem(KEY);
  }
}

/**
 * What a token claims. Throws an error for the user if it has expired, or is none. Whether it is genuine, the server
 * decides.
 * @param {string} token
 */
export function readToken(token) {
  const claims = claimsOf(token);
  if (claims.expiresAt <= Date.now()) throw new Error(t('signIn.expired'));
  return claims;
}

/** @param {string} token @returns {Claims} */
function claimsOf(token) {
  try {
    const [, payload, signature] = token.split('.');
    if (!signature) throw new Error('a part is missing');
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
    const { user_idx, nickname, exp, scope, scp } = JSON.parse(new TextDecoder().decode(bytes));
    if (!user_idx || typeof exp !== 'number') throw new Error('a claim is missing');
    const scopes = scope ?? scp ?? [];
    return {
      userIdx: user_idx,
      nickname: nickname ?? '',
      scopes: Array.isArray(scopes) ? scopes : String(scopes).split(' '),
      expiresAt: exp * 1_000,
    };
  } catch {
    throw new Error(t('signIn.malformed'));
  }
}

export const session = new Session();
