/** Commands and files that `tctl tokens add` prints to be copied. Tests: src/tctl/tokens/add.ts */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { createLogger } from '../../src/log.js';
import { program } from '../../src/tctl/commands.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { freePort } from '../support/free-port.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ agent: false });
});
afterAll(() => cluster?.stop());

test('what a shell would read otherwise is in quotes, and what is empty stays empty', async () => {
  const stdout = await cluster.tctlOk('tokens', 'add', '--type=db', '--db-name=it is', '--db-uri=$(reboot):5432');
  expect(stdout).toMatch(/^ {3}--token=[0-9a-f]{32} \\\n {3}--ca-pin=sha256:[0-9a-f]{64} \\\n {3}--proxy=\S+ \\$/m);
  expect(stdout).toContain(
    "\n   --name='it is' \\\n   --protocol= \\\n   --uri='$(reboot):5432' \\\n   --output file:///",
  );
  expect(stdout.match(/Please note:/g)).toHaveLength(1);
});

test('a cluster without a Proxy has no address for an agent', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tokens-add-'));
  const config = join(dir, 'teleport.yaml');
  const port = await freePort();
  writeFileSync(
    config,
    JSON.stringify({
      version: 'v3',
      teleport: { data_dir: join(dir, 'data') },
      auth_service: { enabled: 'yes', listen_addr: `127.0.0.1:${port}`, cluster_name: 'bare.example.com' },
      proxy_service: { enabled: 'no' },
      db_service: { enabled: 'no' },
    }),
  );
  const { file, raw } = readConfigFile(config);
  const log = createLogger({ component: 'T', level: 'error', write: () => {} });
  const host = await startTeleport(teleportConfig({ config }, file, raw), { log, vars: {} });
  try {
    for (const type of ['discovery', 'db']) {
      const env = memoryEnv({ home: dir, cwd: dir });
      expect(await runProgram(program, ['-c', config, 'tokens', 'add', `--type=${type}`], env)).toBe(1);
      expect(env.err()).toContain('ERROR: cluster has no proxies');
      expect(env.err()).toContain('Start a Proxy Service first.');
    }
  } finally {
    await host.close({ drainMs: 0 });
    rmSync(dir, { recursive: true });
  }
});
