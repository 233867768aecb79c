/** `npm run test:aws`, with the doubles as its account, and without one. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { startPostgres } from '../support/postgres.js';
import { startRedshiftDouble } from '../support/redshift-double.js';
import { testAccount, type Vars } from './account.js';

const started: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});
async function start<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const one = await starting;
  started.push(() => one.stop());
  return one;
}

async function said(vars: Vars) {
  const lines: string[] = [];
  const status = await testAccount(vars, (line) => void lines.push(line));
  return { status, lines };
}

test('without an account it says what it skips, and has not failed', async () => {
  const { status, lines } = await said({});
  expect(status).toBe(0);
  expect(lines).toHaveLength(7);
  for (const line of lines.slice(0, -1)) {
    expect(line).toMatch(/^skipped {2}tsh .*: neither TEST_AWS_CLUSTER nor TEST_AWS_WORKGROUP is set$/);
  }
  expect(lines.at(-1)).toBe('0 passed, 0 failed, 6 skipped');
});

test('with one it does the main job and leaves nothing; a step that fails is named, and the logout is done all the same', async () => {
  const aws = await start(startAwsDouble());
  const postgres = await start(startPostgres({ users: [{ name: 'analyst' }] }));
  const ca = createTestCa('Amazon');
  const sales = aws.addRedshiftCluster({ id: 'sales' });
  const clusters = [{ id: 'sales', tls: ca.issue('localhost') }];
  const redshift = await start(startRedshiftDouble({ aws, postgres, clusters }));
  sales.endpoint = { address: 'localhost', port: redshift.ports.sales! };
  const folder = await mkdtemp(join(tmpdir(), 'account-'));
  started.push(() => rm(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, ca.certPem);
  const person = aws.addUser('alice', {
    policies: [
      {
        Statement: {
          Effect: 'Allow',
          Action: ['redshift:DescribeClusters', 'redshift:GetClusterCredentials*', 'redshift-serverless:List*'],
          Resource: '*',
        },
      },
    ],
  });
  const vars = {
    PATH: process.env.PATH,
    HOME: folder,
    NODE_REDIRECT_WARNINGS: process.env.NODE_REDIRECT_WARNINGS,
    ...aws.env(person),
    TEST_AWS_CLUSTER: 'sales',
    TEST_AWS_DB_USER: 'analyst',
    TEST_AWS_CA_FILE: caFile,
  };
  const hasPsql = (await findPsql(vars.PATH)) !== undefined;
  const enter = (how: string) =>
    hasPsql
      ? `ok       tsh db connect sales as ${how}, and "select 1"`
      : `skipped  tsh db connect sales as ${how}, and "select 1": there is no psql`;
  expect(await said(vars)).toEqual({
    status: 0,
    lines: [
      'ok       tsh login --aws',
      'ok       tsh db ls has the databases that are named',
      enter('oneself'),
      enter('analyst'),
      'skipped  tsh db connect TEST_AWS_WORKGROUP as oneself, and "select 1": TEST_AWS_WORKGROUP is not set',
      'ok       tsh logout, and nothing is left',
      hasPsql ? '5 passed, 0 failed, 1 skipped' : '3 passed, 0 failed, 3 skipped',
    ],
  });

  const { status, lines } = await said({ ...vars, TEST_AWS_WORKGROUP: 'reports' });
  expect(status).toBe(1);
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['ok', 'FAILED', 'skipped', 'skipped', 'skipped', 'ok', '2']);
  expect(lines[1]).toContain('there is no reports in sales');
  expect(lines.at(-1)).toBe('2 passed, 1 failed, 3 skipped');
});
