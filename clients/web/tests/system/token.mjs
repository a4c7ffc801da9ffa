// The platform's auth server.

import { createHmac } from 'node:crypto';

export function token(user, scope) {
  const part = (content) => Buffer.from(JSON.stringify(content)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const claims = { user_idx: user, nickname: `user${user}`, sub: `${user}@example.com`, exp, scope };
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', process.env.CHATTING_SECRET).update(signed).digest('base64url')}`;
}
