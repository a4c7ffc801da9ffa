// @ts-check
/** "Try it yourself": tokens and commands to copy, the same that `dev --verbose` prints. */

import { clone, find, write } from './columns.js';
import { language, texts } from './texts.js';

const COPIED_MS = 1_500;

/** @param {import('./control.js').Setup} setup */
export function drawTryIt({ people, examples }) {
  const text = texts();
  const tokens = [
    { title: text.token(text.presenter), command: people.presenter.token },
    ...people.viewers.map(({ user, token }) => ({ title: text.token(text.viewer(user)), command: token })),
    { title: text.token(text.moderator), command: people.moderator.token },
  ];
  const commands = examples.map((example) => ({ title: example[language], command: example.command }));
  document.getElementById('examples')?.replaceChildren(...[...commands, ...tokens].map(item));
}

/** @param {{ title: string, command: string }} example */
function item({ title, command }) {
  const fragment = clone('example');
  find(fragment, 'p').textContent = title;
  const code = find(fragment, 'code');
  code.textContent = command;
  code.setAttribute('aria-label', title);
  const button = find(fragment, 'button');
  button.textContent = texts().copy;
  button.setAttribute('aria-label', texts().copyThis(title));
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command);
    write(button, texts().copied);
    setTimeout(() => write(button, texts().copy), COPIED_MS);
  });
  return fragment;
}
