/** H9: a test waits for what it needs, and not for a time that is long enough on a machine that is not busy. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A timer, or a look at the clock to let time pass. */
const WAITS = [
  /\bset(?:Timeout|Interval)\(/,
  /timers\/promises/,
  /\b(?:pause|rest)\(\d/,
  /\bAtomics\.wait\b/,
  /\b(?:Date|performance)\.now\(\) *(?:-[^<>]*)?[<>]/,
  /(?<!pg_)\bsleep (?:\d|\$)/,
];

/** File → why time passes there. */
const ALLOWED: Record<string, string> = {
  'support/until.ts': 'asks again what another process tells nobody',
  'support/sign-up.ts': 'the next code of an authenticator comes with the clock',
  'support/postgres.ts': 'deadlines after which a server is killed',
  'support/relay.ts': 'a server that is far away is what it stands for',
  'support/secret-service.ts': 'the deadline of a daemon that is asked again',
  'support/terminal.ts': 'the deadline of a text, to show what came instead',
  'cli/start.test.ts': 'that nothing happens has no event: the last look of bin/start.ts is over after its time',
  'wait.test.ts': 'the waits of src/wait.ts are its subject',
  'cluster/psql.test.ts': 'programs that go on until they are ended',
  'demo/demo.ts': 'the demo goes on until Ctrl-C',
  'demo/stage.ts': 'deadlines of programs, which are killed after them',
  'fuzz/worker.ts': 'a fuzzer goes on for the time that it is given',
  'tools/fuzz.mjs': 'a parser that does not end has no event',
  'attacks/strangers.test.ts': 'clients that drip a byte at a time are its subject',
  'bench/measure.ts': 'a measurement of what is left at rest',
  'bench/processes.ts': 'deadlines of programs, which are killed after them',
  'bench/aws-world.ts': 'a network with a delay',
};

const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter(
  (path) => /\.[cm]?[jt]s$/.test(path) && !path.startsWith('house/'),
);
const waitsOf = (path: string) =>
  readFileSync(join('test', path), 'utf8')
    .split('\n')
    .flatMap((line, at) => (WAITS.some((one) => one.test(line)) ? [`${path}:${at + 1}: ${line.trim()}`] : []));

test('H9 no test sleeps', () => {
  expect(files.filter((path) => !(path in ALLOWED)).flatMap(waitsOf)).toEqual([]);
});

test('H9 where time passes, it still does', () => {
  expect(Object.keys(ALLOWED).filter((path) => !files.includes(path) || waitsOf(path).length === 0)).toEqual([]);
});

test.each([
  'await new Promise((done) => setTimeout(done, 50));',
  "import { setTimeout as delay } from 'node:timers/promises';",
  'while (Date.now() < end) await turn();',
  'while (performance.now() - start < 100);',
  "execFileSync('sh', ['-c', 'sleep 1']);",
])('H9 `%s` would be found', (line) => {
  expect(WAITS.some((one) => one.test(line))).toBe(true);
});
