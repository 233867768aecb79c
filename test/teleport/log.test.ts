/** Tests: src/log.ts, src/teleport/log-output.ts. */
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/log.js';
import { openLogOutput } from '../../src/teleport/log-output.js';
import { memoryEnv } from '../support/env.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'teleport-log-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a JSON line is one object with secrets left out, and severity holds for children', () => {
  const lines: string[] = [];
  const log = createLogger({
    component: 'PROC',
    level: 'warn',
    format: 'json',
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  log.info('not shown');
  log.child('DB').warn('two\nlines', { token: 's3cret', error: new Error('why'), message: 'mine', n: 1 });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]*\n$/);
  expect(JSON.parse(lines[0]!)).toEqual({
    timestamp: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    component: 'DB',
    message: 'two\nlines',
    token: '***',
    error: 'why',
    message_: 'mine',
    n: 1,
  });
});

test('a log file is appended to, only for its owner, and opened again by its name', () => {
  const env = memoryEnv();
  const path = join(dir, 'teleport.log');
  openLogOutput(path, env).write('before\n');
  const output = openLogOutput(path, env);
  output.write('one\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  renameSync(path, `${path}.1`);
  output.write('two\n');
  output.reopen();
  output.write('three\n');
  output.close();
  output.write('four\n');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('before\none\ntwo\n');
  expect(readFileSync(path, 'utf8')).toBe('three\n');
  expect(env.err()).toBe('four\n');
});

test('stdout and stderr are meant by their names; what cannot be opened is refused', () => {
  const env = memoryEnv();
  openLogOutput('stdout', env).write('a\n');
  openLogOutput('stderr', env).write('b\n');
  expect([env.out(), env.err()]).toEqual(['a\n', 'b\n']);
  expect(() => openLogOutput('syslog', env)).toThrow('syslog is not supported');
  expect(() => openLogOutput(join(dir, 'none', 'x.log'), env)).toThrow(/^log\.output: cannot open .*ENOENT/);
});

test('H10 the text form hides what the JSON form hides', () => {
  const PASSWORD = 'hunter2!';
  const fields = {
    token: PASSWORD,
    password: PASSWORD,
    secretKey: PASSWORD,
    credentials: { deep: PASSWORD },
    otp: PASSWORD,
    uri: `postgres://u:${PASSWORD}@h/db`,
    reason: `cannot read postgres://u:${PASSWORD}@h/db`,
    error: new Error(`password=${PASSWORD} refused`),
    more: { password: PASSWORD, list: [{ token: PASSWORD }], text: `--password=${PASSWORD}` },
    n: 7,
  };
  const said = (['text', 'json'] as const).map((format) => {
    const lines: string[] = [];
    const log = createLogger({ component: 'DB', level: 'debug', format, write: (line) => lines.push(line) });
    log.error(`failed at postgres://u:${PASSWORD}@h/db`, fields);
    log.child('SUB').debug('again', fields);
    return lines.join('');
  });
  for (const text of said) {
    expect(text).not.toContain(PASSWORD);
    expect(text).toContain('7');
  }
  const [text, json] = said as [string, string];
  for (const [key, value] of Object.entries(JSON.parse(json.split('\n')[0]!))) {
    if (!(key in fields)) continue;
    const plain = typeof value === 'string' ? value : JSON.stringify(value);
    expect(text.includes(`${key}:${plain}`) || text.includes(`${key}:${JSON.stringify(value)}`)).toBe(true);
  }
});
