// Connects as a room's presenter with delivery/js/presenter.js and prints every event of the room, once and in order.
//
// Shows the callbacks of connectPresenter, renewed tokens and gaps. It needs Node.js 22 or later, whose WebSocket is
// built in, and no package. Start `chatting-server dev`, then:
//
//   node examples/presenter.mjs 'chatting-server token --user 1 --nickname presenter1'
//
// The argument is a command that prints a token. A second argument is the URL of delivery, when it is not
// ws://127.0.0.1:8081/v1/presenter. Post with the curl line that `dev --verbose` prints, kill delivery, post again:
// nothing is missing. Ctrl-C acknowledges what was printed and ends.

import { exec } from 'node:child_process';
import { promisify } from 'node:util';

import { connectPresenter } from '../delivery/js/presenter.js';

const [tokenCommand, url = 'ws://127.0.0.1:8081/v1/presenter'] = process.argv.slice(2);
if (!tokenCommand) {
  console.error("usage: node examples/presenter.mjs 'chatting-server token --user 1' [URL]");
  process.exit(64);
}
if (typeof WebSocket === 'undefined') {
  console.error(`Node.js ${process.version} has no WebSocket: use Node.js 22 or later`);
  process.exit(64);
}

/** One line for an event. Unknown types are printed as they are: a later server may send more. */
function line(event) {
  switch (event.type) {
    case 'message.posted':
      return event.deleted ? '(deleted)' : `${event.user.nickname}: ${event.text}`;
    case 'message.deleted':
      return `-- delete message ${event.target}`;
    case 'message.restored':
      return `-- show message ${event.target} again`;
    case 'room.cleared':
      return '-- clear everything above';
    case 'user.banned':
      return `-- user ${event.user} is banned ${event.until ? `until ${event.until}` : 'for good'}${
        event.purgeSeconds ? `, remove what they wrote in the last ${event.purgeSeconds} s` : ''
      }`;
    case 'user.unbanned':
      return `-- user ${event.user} may write again`;
    case 'user.erased':
      return `-- remove everything that user ${event.user} wrote`;
    case 'room.updated':
      return `-- settings: ${JSON.stringify(event.settings)}`;
    default:
      return `-- ${event.type}`;
  }
}

const presenter = connectPresenter({
  url,
  // Called before every connection, and again before the token expires (`expired` is true).
  getToken: async ({ expired }) => {
    if (expired) console.log('[token] renewing');
    const { stdout } = await promisify(exec)(tokenCommand);
    return stdout;
  },
  onEvent: (event) => console.log(`${event.at.slice(11, 19)} ${line(event)}`),
  // The page was away for longer than the window of the server (ten minutes): the archive has the rest.
  onGap: ({ after, resumedAt }) => console.log(`[gap] after ${after}, resumed at ${resumedAt}`),
  onStatus: (status) => {
    const { state, ...why } = status;
    console.log(`[${state}]`, Object.keys(why).length ? JSON.stringify(why) : '');
    // The server said that trying again is no use: a bad token, or another page of this presenter.
    if (state === 'stopped') process.exitCode = 1;
  },
});

process.once('SIGINT', () => presenter.close());
