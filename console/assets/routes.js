// @ts-check
/** The addresses of the views: `#/rooms/{presenterIdx}/live`. */

/** @typedef {{ view: string, room?: string, broadcast?: string, query: Record<string, string> }} Route */

/** Views of a room, in the order of the navigation. */
export const ROOM_VIEWS = ['live', 'reports', 'search', 'bans', 'moderators', 'audit', 'broadcasts'];

/** Whether the text can be the id of a broadcast. @param {string | undefined} text */
export function isId(text) {
  return /^[\w-]+$/.test(text ?? '');
}

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split('?');
  const query = Object.fromEntries(new URLSearchParams(search));
  const [first, room, view = 'live', broadcast, last] = path.split('/');
  if (first === 'operator') return { view: 'operator', query };
  if (first !== 'rooms' || !/^[1-9]\d{0,15}$/.test(room ?? '')) return { view: 'home', query };
  if (view === 'broadcasts' && isId(broadcast)) {
    return { view: last === 'replay' ? 'replay' : 'broadcast', room, broadcast, query };
  }
  return { view: ROOM_VIEWS.includes(view) ? view : 'live', room, query };
}

/** @param {Route} route */
export function address({ view, room, broadcast, query }) {
  const parts = { home: '', operator: 'operator', broadcast: `rooms/${room}/broadcasts/${broadcast}` };
  const replay = `rooms/${room}/broadcasts/${broadcast}/replay`;
  const path =
    view === 'replay' ? replay : (parts[/** @type {keyof typeof parts} */ (view)] ?? `rooms/${room}/${view}`);
  const given = Object.entries(query).filter(([, value]) => value !== '' && value !== undefined);
  const search = new URLSearchParams(given).toString();
  return `#/${path}${search ? `?${search}` : ''}`;
}
