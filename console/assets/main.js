// @ts-check
/** The page: who is signed in, which view the address names, and the frame around it. */

import { loadBases } from './api.js';
import { fill, h } from './dom.js';
import { t } from './i18n.js';
import { explain, isAbort } from './outcome.js';
import { address, parse } from './routes.js';
import { session } from './session.js';
import { frame } from './frame.js';
import { askForToken, signInForm } from './sign-in.js';

/** Each view is a module, loaded when it is first opened. @type {Record<string, () => Promise<any>>} */
const VIEWS = {
  home: () => import('./home.js'),
  live: () => import('./live.js'),
  reports: () => import('./reports.js'),
  search: () => import('./search.js'),
  bans: () => import('./bans.js'),
  moderators: () => import('./moderators.js'),
  audit: () => import('./audit.js'),
  broadcasts: () => import('./broadcasts.js'),
  broadcast: () => import('./broadcast.js'),
  replay: () => import('./replay-view.js'),
  operator: () => import('./operator.js'),
};

const app = /** @type {HTMLElement} */ (document.getElementById('app'));

/** Ends the view on display. */
let leave = new AbortController();

function show() {
  leave.abort();
  leave = new AbortController();
  const route = parse(location.hash);
  const main = h('main', { id: 'main', tabindex: '-1' }, h('div', { class: 'page quiet' }, t('loading')));
  if (!session.isSignedIn) {
    document.title = t('title');
    fill(app, frame(route, show), main);
    fill(main, h('div', { class: 'page narrow' }, h('h1', {}, t('signIn.title')), signInForm()));
    return;
  }
  document.title = `${t(`view.${route.view}`)} – ${route.room ?? ''} ${t('title')}`;
  fill(app, h('a', { class: 'skip', href: '#main', on: { click: skip } }, t('skip')), frame(route, show), main);
  // On a phone not all of the navigation is in view.
  app.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  mount(main, route, leave.signal);
}

/** @param {HTMLElement} main @param {import('./routes.js').Route} route @param {AbortSignal} signal */
async function mount(main, route, signal) {
  try {
    const { mount } = await VIEWS[route.view]();
    if (!signal.aborted) await mount(main, { ...route, signal });
  } catch (error) {
    if (isAbort(error) || signal.aborted) return;
    fill(
      main,
      h(
        'div',
        { class: 'page' },
        h('p', { class: 'outcome', role: 'alert', data: { state: 'failed' } }, explain(error)),
      ),
    );
  }
}

/** The address names the view, so the link must not change it. @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

/** A link may bring the token: `#/rooms/42/live?token=…`. It leaves the address at once, and replaces nobody. */
function takeToken() {
  const route = parse(location.hash);
  const { token, ...query } = route.query;
  if (token === undefined) return;
  history.replaceState(null, '', address({ ...route, query }));
  if (session.isSignedIn) return;
  try {
    session.signIn(token);
  } catch {
    // The page asks for another.
  }
}

addEventListener('hashchange', () => (takeToken(), show()));
session.addEventListener('expired', () => askForToken());
session.addEventListener('change', () => {
  // A view whose token was renewed goes on as it is.
  if (!document.querySelector('dialog.sign-in')) show();
  else app.querySelector('header')?.replaceWith(frame(parse(location.hash), show));
});

await loadBases();
takeToken();
show();
