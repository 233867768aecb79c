import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { program as tctl } from '../../src/tctl/commands.js';
import { program as teleport } from '../../src/teleport/commands.js';
import { program as tsh } from '../../src/tsh/commands.js';
import { entriesOf } from './command-entries.js';
import { manPage } from './man-page.js';

const REQUESTS = ['.\\"', '.TH', '.SH', '.SS', '.TP', '.PP', '.B', '.I', '.EX', '.EE'];
const groff = spawnSync('groff', ['--version']).status === 0;

describe.each([tsh, tctl, teleport])('the man page of $name', (program) => {
  const page = manPage(program, { section: 1, source: 'teleshift 1.2.3', seeAlso: [] });

  test('has every command with its examples, and no request but ours', () => {
    for (const line of page.split('\n')) {
      if (line.startsWith('.')) expect(REQUESTS).toContain(line.split(' ')[0]);
      expect(line).not.toMatch(/^'/);
    }
    for (const { usage } of entriesOf(program)) expect(page).toContain(`.SS "${usage.replaceAll('-', '\\-')}"`);
  });

  (groff ? test : test.skip)('is read by groff without a warning, and what can be copied is as it is typed', () => {
    const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-P-c', '-rLL=400n', '-ww'], {
      input: page,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const plain = stdout.replace(/.\x08/g, '');
    for (const { examples } of entriesOf(program)) for (const line of examples) expect(plain).toContain(line);
  });
});
