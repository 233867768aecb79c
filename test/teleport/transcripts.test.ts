/**
 * Tests: src/teleport/commands.ts, src/teleport/db/configure/agent-config-samples.ts
 * Tests: src/teleport/db/configure/bootstrap.ts, src/teleport/db/configure/database-flags.ts
 * Tests: src/teleport/db/start.ts, src/teleport/debug.ts, src/teleport/sample-config.ts, src/teleport/status.ts
 * Tests: src/teleport/version.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { program } from '../../src/teleport/commands.js';
import { memoryEnv } from '../support/env.js';
import { runTranscript } from '../support/golden.js';

const FILES: Record<string, string> = {
  'bad.yaml': 'version: v3\nteleport:\n  nodenamez: a\nproxy_service:\n  enabled: maybe\n',
  'agent.yaml': 'auth_service: {enabled: no}\nproxy_service: {enabled: no}\ndb_service: {enabled: yes}\n',
  'none.yaml':
    'db_service:\n  enabled: true\n  databases:\n  - {name: pg, protocol: postgres, uri: "localhost:5432"}\n',
  'roles.yaml': `db_service:
  enabled: true
  aws:
  - {types: [redshift], regions: [us-east-1]}
  - {types: [redshift-serverless], regions: [us-east-1], assume_role_arn: "arn:aws:iam::123456789012:role/far"}
  databases:
  - {name: a, protocol: postgres, uri: "a.b.us-east-1.rds.amazonaws.com:5432"}
`,
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'teleport-'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(dir, name), text);
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each(['teleport-configure', 'teleport-start-refused', 'teleport-db-configure'])('%s', async (name) => {
  const { expected, actual } = await runTranscript(`test/transcripts/${name}.txt`, {
    run: async ([, ...words], { vars }) => {
      const env = memoryEnv({ home: dir, vars });
      const status = await runProgram(
        program,
        words.map((word) => word.replaceAll('{DIR}', dir)),
        env,
      );
      return { stdout: env.out(), stderr: env.err(), status };
    },
    replace: () => ({
      DIR: dir,
      HOSTNAME: new RegExp(`\\b${hostname()}\\b`, 'g'),
      RUNTIME: `node${process.versions.node}`,
    }),
  });
  expect(actual).toBe(expected);
});
