// @ts-check
/** Exports of the archive as downloads. A file is offered only once it is complete. */

import { send } from './api.js';
import { button, h } from './dom.js';
import { size } from './format.js';
import { t } from './i18n.js';
import { isAbort, Outcome } from './outcome.js';

/** @typedef {{ label: string, query: Record<string, string> }} Format */

/** Formats of a search's result. @returns {Format[]} */
export const messageFormats = () => [
  { label: 'CSV', query: { format: 'csv' } },
  { label: t('exports.excel'), query: { format: 'csv', bom: 'true' } },
  { label: 'NDJSON', query: { format: 'ndjson' } },
];

/** Formats of a broadcast. @returns {Format[]} */
export const broadcastFormats = () => [
  { label: 'NDJSON', query: { format: 'ndjson' } },
  { label: 'WebVTT', query: { format: 'webvtt' } },
  { label: 'TwitchDownloader', query: { format: 'twitchdownloader' } },
];

/**
 * Buttons for the formats. `query` has the parameters of the search.
 * @param {{ path: string, query: () => Record<string, any>, formats: Format[], signal: AbortSignal }} options
 */
export function exportButtons({ path, query, formats, signal }) {
  const outcome = new Outcome();
  const stop = button(t('cancel'), () => running?.abort(), { class: 'small', hidden: true });
  /** @type {AbortController | null} */
  let running = null;
  signal.addEventListener('abort', () => running?.abort());
  const run = async (/** @type {Format} */ format) => {
    running?.abort();
    const own = (running = new AbortController());
    stop.hidden = false;
    outcome.tell(t('exports.begins'));
    try {
      const progress = (/** @type {number} */ bytes) => outcome.tell(t('exports.progress', { size: size(bytes) }));
      const { name, isIncomplete } = await download(path, { ...query(), ...format.query }, own.signal, progress);
      outcome.tell(t(isIncomplete ? 'exports.incomplete' : 'exports.done', { name }));
    } catch (error) {
      if (isAbort(error)) outcome.tell(t('exports.stopped'));
      else outcome.fail(error);
    } finally {
      if (running === own) stop.hidden = true;
    }
  };
  return h(
    'div',
    { class: 'exports' },
    h(
      'div',
      { class: 'buttons' },
      formats.map((format) => button(format.label, () => run(format))),
      stop,
    ),
    outcome.element,
  );
}

/**
 * @param {string} path @param {Record<string, any>} query @param {AbortSignal} signal
 * @param {(bytes: number) => void} progress
 */
async function download(path, query, signal, progress) {
  const answer = await send('archive', 'GET', path, { query, signal });
  let bytes = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      progress(bytes);
      controller.enqueue(chunk);
    },
  });
  // A connection that breaks midway is an error here, so that no part of a file passes for the whole.
  const blob = await new Response(answer.body?.pipeThrough(counted)).blob();
  const [, name = 'export'] = /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition') ?? '') ?? [];
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return { name, isIncomplete: answer.headers.has('Archive-Gaps') };
}
