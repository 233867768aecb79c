/** A terminal that shows text, tmux, asked how many cells a text takes. A machine may have none: such tests are skipped. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Writes each text at the start of a line and asks the terminal for the column of its cursor. */
const ASKING = `
const { readFileSync, writeFileSync } = require('node:fs');
const [, , texts, answers] = process.argv;
const ask = (text) =>
  new Promise((done) => {
    process.stdin.once('data', (answer) => done(Number(/\\[\\d+;(\\d+)R/.exec(answer)[1]) - 1));
    process.stdout.write('\\r\\u001b[K' + text + '\\u001b[6n');
  });
(async () => {
  process.stdin.setRawMode(true);
  const widths = [];
  for (const text of JSON.parse(readFileSync(texts, 'utf8'))) widths.push(await ask(text));
  writeFileSync(answers, JSON.stringify(widths));
  process.exit();
})();`;

export const hasTmux = /^tmux/.test(spawnSync('tmux', ['-V'], { encoding: 'utf8' }).stdout ?? '');

/** Cells that tmux shows each text in. */
export function cellsInTmux(texts: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'tmux-'));
  const [script, asked, answers] = ['ask.cjs', 'texts.json', 'answers.json'].map((name) => join(folder, name));
  const tmux = (...args: string[]) => {
    const env = { ...process.env, TMUX: undefined, TMUX_TMPDIR: folder, LC_ALL: 'C.UTF-8' };
    return spawnSync('tmux', ['-u', '-f', '/dev/null', ...args], { env, encoding: 'utf8', timeout: 60_000 });
  };
  try {
    writeFileSync(script!, ASKING);
    writeFileSync(asked!, JSON.stringify(texts));
    tmux(
      'new-session',
      '-d',
      '-x',
      '200',
      `'${process.execPath}' ${script} ${asked} ${answers}; tmux wait-for -S done`,
    );
    tmux('wait-for', 'done');
    return JSON.parse(readFileSync(answers!, 'utf8')) as number[];
  } finally {
    tmux('kill-server');
    rmSync(folder, { recursive: true, force: true });
  }
}
