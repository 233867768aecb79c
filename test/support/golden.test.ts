import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTranscript, splitCommand } from './golden.js';

test('a transcript holds when streams, status and placeholders agree, and differs by line when not', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'golden-'));
  try {
    const file = join(dir, 't.txt');
    writeFileSync(
      file,
      ['# why', '', '$ A=1 tsh hi', '< secret', '> hi {HOME} {TIME}', '> ', '! \\e[31mx{NO_NEWLINE}', '= 1', ''].join(
        '\n',
      ),
    );
    const run = (stdout: string) =>
      runTranscript(file, {
        run: async (words, call) => {
          expect([words, call]).toEqual([['tsh', 'hi'], { vars: { A: '1' }, answers: ['secret'] }]);
          return { stdout, stderr: '\u001b[31mx', status: 1 };
        },
        replace: () => ({ HOME: '/home/alice' }),
      });
    const good = await run('hi /home/alice 2026-01-02T03:04:05Z\n\n');
    expect(good.actual).toBe(good.expected);
    const bad = await run('ho\n');
    expect(bad.actual).toContain('> ho\n! ');
    expect(bad.actual).not.toBe(bad.expected);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a command line is split as a shell splits it', () => {
  expect(splitCommand(`tsh db exec "select \\"a\\" 'b'" --labels='k=v w' a\\ b`).words).toEqual([
    'tsh',
    'db',
    'exec',
    `select "a" 'b'`,
    '--labels=k=v w',
    'a b',
  ]);
});
