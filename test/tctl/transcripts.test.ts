/**
 * Tests: src/tctl/auth/sign.ts, src/tctl/commands.ts, src/tctl/connect.ts, src/tctl/create.ts, src/tctl/db/ls.ts
 * Tests: src/tctl/tokens/add.ts, src/tctl/users/add.ts, src/tctl/version.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { program } from '../../src/tctl/commands.js';
import { memoryEnv } from '../support/env.js';
import { runTranscript } from '../support/golden.js';

const SLIP = `kind: role
version: v7
metadata: {name: dba}
spec:
  allow:
    db_labels: {env: prod}
    db_usres: [dba]
  dney:
    db_names: [payroll]
`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tctl-'));
  writeFileSync(join(dir, 'empty.yaml'), '---\n---\n');
  writeFileSync(join(dir, 'strange.yaml'), 'kind: bogus\nmetadata: {name: x}\n');
  writeFileSync(join(dir, 'slip.yaml'), SLIP);
  writeFileSync(join(dir, 'auth.yaml'), `teleport: {data_dir: ${dir}/data}\nauth_service: {enabled: yes}\n`);
});
afterEach(() => rmSync(dir, { recursive: true }));

test('tctl-refused', async () => {
  const { expected, actual } = await runTranscript('test/transcripts/tctl-refused.txt', {
    run: async ([, ...words], { vars }) => {
      const env = memoryEnv({ home: dir, vars });
      const status = await runProgram(
        program,
        words.map((word) => word.replaceAll('{DIR}', dir)),
        env,
      );
      return { stdout: env.out(), stderr: env.err(), status };
    },
    replace: () => ({ DIR: dir, RUNTIME: `node${process.versions.node}` }),
  });
  expect(actual).toBe(expected);
});
