// @ts-check
/** The HTTP API for gateways, bots and tools: ingest and the archive, in Node.js 20, browsers and Deno. */

export { Archive } from './archive.js';
export { ChattingError, RateLimited, Refused, Unavailable } from './errors.js';
export { Gateway } from './gateway.js';
export { Ingest } from './ingest.js';
