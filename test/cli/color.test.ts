/**
 * Colours: which stream gets them, and that nobody else writes any.
 * Tests: src/cli/exit.ts, src/cli/progress.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { hasColor, paletteOf } from '../../src/cli/color.js';
import { reportError } from '../../src/cli/exit.js';
import { waitingFor } from '../../src/cli/progress.js';
import { memoryEnv } from '../support/env.js';
import { findTerminal } from '../support/terminal.js';

const ESC = '\u001b';

/** When it is loaded, chalk looks for this flag among the words that were typed, and nothing else does. */
const LOADED = 'chalk is loaded';
const TELL = `const { indexOf } = Array.prototype;
Array.prototype.indexOf = function (...what) {
  if (what[0] === '--no-color') require('fs').writeSync(2, '${LOADED}');
  return indexOf.apply(this, what);
};`;

describe('U8 colour', () => {
  test.each<[Record<string, string>, 'terminal' | 'pipe', boolean]>([
    [{}, 'terminal', true],
    [{}, 'pipe', false],
    [{ TERM: 'xterm-256color' }, 'terminal', true],
    [{ TERM: 'dumb' }, 'terminal', false],
    [{ NO_COLOR: '1' }, 'terminal', false],
    [{ NO_COLOR: '0' }, 'terminal', false],
    [{ NO_COLOR: '' }, 'terminal', true],
    [{ NO_COLOR: '1', FORCE_COLOR: '1', CLICOLOR_FORCE: '1' }, 'terminal', false],
    [{ FORCE_COLOR: '1' }, 'pipe', true],
    [{ FORCE_COLOR: 'true' }, 'pipe', true],
    [{ FORCE_COLOR: '3' }, 'pipe', true],
    [{ FORCE_COLOR: '1', TERM: 'dumb' }, 'pipe', true],
    [{ FORCE_COLOR: '0' }, 'terminal', false],
    [{ FORCE_COLOR: 'false' }, 'terminal', false],
    [{ FORCE_COLOR: '' }, 'pipe', false],
    [{ CLICOLOR: '0' }, 'terminal', false],
    [{ CLICOLOR: '1' }, 'terminal', true],
    [{ CLICOLOR: '1' }, 'pipe', false],
    [{ CLICOLOR_FORCE: '1' }, 'pipe', true],
    [{ CLICOLOR_FORCE: '1', CLICOLOR: '0' }, 'pipe', true],
    [{ CLICOLOR_FORCE: '0' }, 'pipe', false],
    [{ CLICOLOR_FORCE: '0' }, 'terminal', true],
  ])('with %j on a %s: %s', async (vars, where, isShown) => {
    const tty = where === 'terminal';
    const env = memoryEnv({ vars, tty: { stdout: tty, stderr: tty } });
    expect([hasColor(env, 'stdout'), hasColor(env, 'stderr')]).toEqual([isShown, isShown]);
    await reportError(new Error('no'), env);
    expect(env.err()).toBe(isShown ? `${ESC}[31mERROR: ${ESC}[39mno\n\n` : 'ERROR: no\n\n');
    expect((await paletteOf(env, 'stdout')).command('tsh')).toBe(isShown ? `${ESC}[33mtsh${ESC}[39m` : 'tsh');
  });

  test('standard output and standard error are decided apart', async () => {
    const env = memoryEnv({ tty: { stdin: true, stdout: true } });
    expect([hasColor(env, 'stdout'), hasColor(env, 'stderr')]).toEqual([true, false]);
    const other = memoryEnv({ tty: { stdin: true, stderr: true } });
    expect([hasColor(other, 'stdout'), hasColor(other, 'stderr')]).toEqual([false, true]);
  });

  test('a dumb terminal is not asked to erase a line', async () => {
    const env = memoryEnv({ vars: { TERM: 'dumb' }, tty: { stderr: true } });
    await waitingFor(env, 'the proxy', env.untilErr('Waiting'), { patienceMs: 1 });
    expect(env.err()).toBe('Waiting for the proxy ...\n');
  });

  test('no other file writes a colour code', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    const found = files.filter((name) =>
      /(\\u001b|\\u\{1b\}|\\x1b|\\033|\\e|\u001b)\[[\d;]*m/i.test(readFileSync(join('src', name), 'utf8')),
    );
    expect(found).toEqual([]);
  });

  const openTerminal = findTerminal();
  (openTerminal ? test : test.skip)('the program itself: red on a terminal, plain in a file beside it', async () => {
    const home = mkdtempSync(join(tmpdir(), 'teleshift-color-'));
    const { NO_COLOR, FORCE_COLOR, CLICOLOR, CLICOLOR_FORCE, ...rest } = process.env;
    const vars = { ...rest, HOME: home, TELEPORT_HOME: undefined, TERM: 'xterm' };
    const shown = async (line: string, words: string, more: Record<string, string> = {}) => {
      const terminal = openTerminal!(['sh', '-c', line], { cwd: process.cwd(), vars: { ...vars, ...more } });
      await terminal.until(words);
      await terminal.ended;
    };
    try {
      const command = `${process.execPath} dist/tsh.js db ls`;
      await shown(command, `${ESC}[31mERROR: ${ESC}[39mNo proxy`);
      await shown(command, 'ERROR: No proxy', { NO_COLOR: '1' });
      // The other stream is still the terminal.
      await shown(`${command} 2> ${home}/err; echo done`, 'done');
      expect(readFileSync(join(home, 'err'), 'utf8')).toMatch(/^ERROR: No proxy/);
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test.each([
    ['tsh', 'db', 'ls'],
    ['tctl', 'tokens', 'add'],
    ['teleport', 'configure', '--cert-file=x'],
  ])('%s in a pipe shows none, and does not load chalk for it', (program, ...words) => {
    const { NO_COLOR, FORCE_COLOR, CLICOLOR, CLICOLOR_FORCE, ...vars } = process.env;
    const home = mkdtempSync(join(tmpdir(), 'teleshift-color-'));
    const preload = join(home, 'preload.cjs');
    writeFileSync(preload, TELL);
    const run = (more: Record<string, string>) =>
      spawnSync(process.execPath, ['--require', preload, `dist/${program}.js`, ...words], {
        encoding: 'utf8',
        env: { ...vars, HOME: '/nonexistent', ...more },
      }).stderr;
    try {
      const plain = run({});
      expect([plain.includes(`${ESC}[`), plain.includes(LOADED)]).toEqual([false, false]);
      const colored = run({ FORCE_COLOR: '1' });
      expect([colored.includes(`${ESC}[31mERROR: ${ESC}[39m`), colored.includes(LOADED)]).toEqual([true, true]);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
