// Assembles `dist/` from the modules that the server itself serves, so that there is one source of each: `node assemble.mjs`.
// npm runs it before `npm pack` and `npm publish`. In an unpacked package there is nothing to assemble.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const MODULES = {
  presenter: '../../delivery/js/presenter',
  relay: '../../delivery/js/relay',
  viewer: '../../delivery/js/viewer',
  reader: '../../delivery/js/reader',
  replay: '../../console/assets/replay',
};

const here = (path) => new URL(path, import.meta.url);

/** Writes a file at once: another assembly, or a test that reads, may be under way. */
function write(name, text) {
  const unfinished = here(`dist/.${name}.${process.pid}`);
  writeFileSync(unfinished, text);
  renameSync(unfinished, here(`dist/${name}`));
}

/** The module as an expression: the object of what it exports. It imports nothing, and exports functions only. */
function closed(name, source) {
  const exported = [...source.matchAll(/^export (?:function (\w+)|.*)/gm)];
  const unknown = exported.filter(([, name]) => !name).map(([line]) => line);
  if (unknown.length > 0 || /^import /m.test(source)) {
    throw new Error(`${name}.js: only functions can be exported, and nothing imported: ${unknown}`);
  }
  const names = exported.map(([, name]) => name).join(', ');
  return {
    names,
    text: `const { ${names} } = (() => {\n${source.replace(/^export /gm, '')}return { ${names} };\n})();\n`,
  };
}

if (existsSync(here(`${MODULES.presenter}.js`))) {
  mkdirSync(here('dist/'), { recursive: true });
  const parts = [];
  for (const [name, path] of Object.entries(MODULES)) {
    for (const ending of ['.js', '.d.ts']) write(name + ending, readFileSync(here(path + ending), 'utf8'));
    parts.push(closed(name, readFileSync(here(`${path}.js`), 'utf8')));
  }
  const index = Object.keys(MODULES)
    .map((name) => `export * from './${name}.js';\n`)
    .join('');
  for (const file of ['index.js', 'index.d.ts', 'bundle.d.ts']) write(file, index);
  const names = parts.map(({ names }) => names).join(', ');
  write('bundle.js', `${parts.map(({ text }) => text).join('\n')}\nexport { ${names} };\n`);
}
