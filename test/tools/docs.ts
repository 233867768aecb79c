/**
 * `docs/cli/*.md` and `docs/man/*` from the command tables: `npm run docs` writes the pages, `--check` compares them with
 * what the tables say now and names each stale file.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { program as tctl } from '../../src/tctl/commands.js';
import { program as teleport } from '../../src/teleport/commands.js';
import { program as tsh } from '../../src/tsh/commands.js';
import { VERSION } from '../../src/version.js';
import { commandPage } from './command-page.js';
import { manPage } from './man-page.js';

const source = `teleshift ${VERSION}`;
const PAGES: Record<string, string> = {
  'docs/cli/tsh.md': commandPage(tsh),
  'docs/cli/tctl.md': commandPage(tctl),
  'docs/cli/teleport.md': commandPage(teleport),
  'docs/man/tsh.1': manPage(tsh, { section: 1, source, seeAlso: ['tctl(8)', 'teleport(8)', 'psql(1)'] }),
  'docs/man/tctl.8': manPage(tctl, { section: 8, source, seeAlso: ['tsh(1)', 'teleport(8)'] }),
  'docs/man/teleport.8': manPage(teleport, { section: 8, source, seeAlso: ['tsh(1)', 'tctl(8)'] }),
};

const isCheck = process.argv.includes('--check');
const stale: string[] = [];
for (const [file, text] of Object.entries(PAGES)) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (isCheck) stale.push(file);
  else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    console.log(`wrote ${file}`);
  }
}
for (const file of stale) console.error(`${file} is not what the command table says; run: npm run docs`);
process.exitCode = stale.length > 0 ? 1 : 0;
