// A role that answers as a test says, over real connections.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

export const ACCEPTED = { id: '8d2b6f6e-0f6f-5a5e-9d65-0d8f4a2c1b10', position: '1-1-0', presenter: 'connected' };

/** The request is taken, and the connection breaks. */
export const LOST = Symbol('lost');

/** The request is taken, and never answered. */
export const SILENCE = Symbol('silence');

/** An answer in chunks; without `isWhole` the connection breaks after them. */
export const chunks = (pieces, { isWhole = true, headers = {} } = {}) => ({ status: 200, pieces, isWhole, headers });

export const ok = (body, status = 200) => ({ status, body });

export const problem = (status, code, { retryAfter, ...members } = {}) => ({
  status,
  body: { status, code, detail: `${code}.`, ...members },
  headers: retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) },
});

/** Answers with the replies in turn, and the last one for ever. */
export async function fake(...replies) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const { method, url: target, headers } = request;
    const content = await text(request);
    requests.push({ method, target, headers, body: content ? JSON.parse(content) : undefined });
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    if (reply === LOST) return request.socket.destroy();
    if (reply === SILENCE) return;
    response.writeHead(reply.status, { 'Content-Type': 'application/json', ...reply.headers });
    if (!reply.pieces) return response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
    for (const piece of reply.pieces) response.write(piece);
    if (reply.isWhole) response.end();
    else setImmediate(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close: () => (server.closeAllConnections(), server.close()),
  };
}
