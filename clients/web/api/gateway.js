// @ts-check
/**
 * A gateway that has verified its users and vouches for them: signed headers in place of a token. Ingest honours them
 * with `ingest.gateway.mode = "signature"`; docs/reference/ingest-api.md has the signature (v2).
 */

const encoder = new TextEncoder();

export class Gateway {
  #secret;

  /** @param {string} secret `ingest.gateway.secret` */
  constructor(secret) {
    this.#secret = crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
    ]);
  }

  /** @param {import('./index.d.ts').ForwardedIdentity} identity @returns {import('./index.d.ts').ForwardedUser} */
  user({ idx, email, nickname, scope }) {
    const secret = this.#secret;
    return {
      async headers(method, url, body) {
        /** @type {Record<string, string>} */
        const forwarded = {
          'x-forward-userIdx': String(idx),
          'x-forward-email': formEncoded(email),
          'x-forward-nickname': formEncoded(nickname),
        };
        if (scope !== undefined) forwarded['x-forward-scope'] = formEncoded(scope);
        let digest = '';
        if (body !== undefined) {
          const hash = await crypto.subtle.digest('SHA-256', encoder.encode(body));
          digest = `sha-256=:${btoa(String.fromCharCode(...new Uint8Array(hash)))}:`;
        }
        const { pathname, search } = new URL(url);
        const now = String(Math.floor(Date.now() / 1_000));
        const lines = ['v2', now, method, pathname + search, digest, ...Object.values(forwarded)].join('\n');
        const mac = await crypto.subtle.sign('HMAC', await secret, encoder.encode(lines));
        const signature = `t=${now},v2=${hex(mac)}`;
        return { ...forwarded, 'x-forward-signature': signature, ...(digest && { 'Content-Digest': digest }) };
      },
    };
  }
}

/** @param {string} text */
function formEncoded(text) {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** @param {ArrayBuffer} bytes */
function hex(bytes) {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
