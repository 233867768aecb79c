/**
 * What administrators and people of a root and a leaf of ours type and see, row by row as captured from Teleport 18.3.0.
 *
 * Tests: src/auth/trusted-clusters.ts, src/auth/remote-clusters.ts, src/tctl/get.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { documents, type Outcome, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { runTranscript } from '../support/golden.js';
import { tokenForLeaf, trustedCluster, untilLeafIs } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'peer.local';
const LEAF = 'leaf.local';
const ROLES = { gina: 'root-dev', carol: 'auto-keep', nora: 'other' };
const MAP = [
  { remote: 'root-dev', local: ['leaf-dev'] },
  { remote: 'auto-keep', local: ['leaf-auto'] },
];

let root: TestCluster;
let leaf: TestCluster;

beforeAll(async () => {
  const everything = { db_users: ['analyst'], db_names: ['*'] };
  root = await startTestCluster({
    name: ROOT,
    postgres: true,
    roles: Object.values(ROLES).map((name) => roleResource(name, everything)),
    users: Object.entries(ROLES).map(([name, role]) => ({ name, roles: [role] })),
  });
  const roles = { db_names: ['*'], db_roles: ['reader', '{{external.db_roles}}'] };
  leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: root.webCaFile },
    roles: [roleResource('leaf-dev', everything), roleResource('leaf-auto', roles, { create_db_user_mode: 'keep' })],
  });
  const { postgres, resources } = leaf.databases!;
  await postgres.query('ALTER ROLE reader NOLOGIN; CREATE ROLE writer; CREATE ROLE "teleport-admin" LOGIN SUPERUSER');
  const [orders] = resources as { metadata: object; spec: object }[];
  const managed = {
    ...orders,
    metadata: { name: 'leafpg', description: 'postgres of the leaf', labels: { env: 'leaf' } },
    spec: { ...orders!.spec, admin_user: { name: 'teleport-admin' } },
  };
  await leaf.tctl('rm', 'db/orders');
  await leaf.create(managed);
  await until('the agent serves it', async () => {
    const { stdout } = await leaf.tctl('get', 'db_server', '--format=json');
    return (stdout.includes('leafpg') && !stdout.includes('orders')) || undefined;
  });
  await root.tctl('users', 'update', 'carol', '--set-db-roles=writer');
  for (const name of Object.keys(ROLES)) await root.login(name, name);
  await writeTrusts();
});

afterAll(async () => {
  await leaf?.stop();
  await root?.stop();
});

/** The files that the transcript names. */
async function writeTrusts(): Promise<void> {
  const token = await tokenForLeaf(root);
  const good = { token, role_map: MAP };
  const noRole = [{ remote: 'root-dev', local: ['nosuch'] }];
  const { proxyAddr } = root;
  const write = (file: string, spec: object, name = ROOT) =>
    writeFileSync(join(leaf.dir, file), documents([trustedCluster({ name, proxyAddr }, { ...good, ...spec })]));
  write('tc.yaml', {});
  write('tc-badtoken.yaml', { token: 'no-such-token' });
  write('tc-norole.yaml', { role_map: noRole });
  write('tc-wrongname.yaml', {}, 'rootx');
  write('tc-disabled.yaml', { enabled: false });
}

/** What a change of the trust brings comes a moment later. */
async function settle(words: string[], { status }: Outcome): Promise<void> {
  if (status !== 0) return;
  const said = words.join(' ');
  if (said.includes('create') && said.includes('tc-disabled')) await untilLeafIs('offline', LEAF, root);
  else if (said.includes('create')) await untilLeafIs('online', LEAF, root);
  else if (said.includes('rm trusted_cluster')) await untilLeafIs('offline', LEAF, root);
}

test('trusted-clusters.txt', async () => {
  const { expected, actual } = await runTranscript('test/transcripts/trusted-clusters.txt', {
    async run([program, ...words], { vars }) {
      if (program === 'tsh') return await root.tsh(vars.HOME!, ...words);
      const [, file, ...rest] = words;
      const outcome = await (file === 'root.yaml' ? root : leaf).tctl(...rest);
      await settle(rest, outcome);
      return outcome;
    },
    replace: () => ({
      ROOT: root.proxyAddr,
      LEAF_DATABASE: `localhost:${leaf.databases!.postgres.port}`,
      HEARTBEAT: /\b\w{3} \w{3} \d+ \d\d:\d\d UTC\b/g,
      LIFE: /\[valid for \w+\]/g,
      EXPIRED: /\b\d{4}-\d{2}-\d{2} \d\d:\d\d:\d\d \+0000 UTC\b/g,
    }),
  });
  expect(actual).toBe(expected);
});
