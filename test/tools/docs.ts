/**
 * `docs/cli/*.md` from the command tables: `npm run docs` writes the pages, `--check` compares them with what the tables
 * say now and names each stale file.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { program as tctl } from '../../src/tctl/commands.js';
import { program as teleport } from '../../src/teleport/commands.js';
import { program as tsh } from '../../src/tsh/commands.js';
import { commandPage } from './command-page.js';

const isCheck = process.argv.includes('--check');
const stale: string[] = [];

mkdirSync('docs/cli', { recursive: true });
for (const program of [tsh, tctl, teleport]) {
  const file = `docs/cli/${program.name}.md`;
  const text = commandPage(program);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (isCheck) stale.push(file);
  else {
    writeFileSync(file, text);
    console.log(`wrote ${file}`);
  }
}
for (const file of stale) console.error(`${file} is not what the command table says; run: npm run docs`);
process.exitCode = stale.length > 0 ? 1 : 0;
