/**
 * AWS and Redshift for people without a cluster: an account with two regions, a person who may look and enter, and doubles
 * of a cluster `sales`, a paused one, and a workgroup `reports`, with PostgreSQL underneath.
 */

import type * as Dns from 'node:dns';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTsh } from '../../src/tsh/main.js';
import type { Principal } from './aws/world.js';
import { type AwsDouble, startAwsDouble } from './aws-double.js';
import { createTestCa } from './ca.js';
import { type MemoryEnv, type MemoryEnvOptions, memoryEnv } from './env.js';
import { type Postgres, startPostgres } from './postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from './redshift-double.js';

/** Names as AWS gives them; on this machine they are loopback. */
export const SALES_HOST = 'sales.abc123.us-east-1.redshift.amazonaws.com';
export const REPORTS_HOST = 'reports.123456789012.us-east-1.redshift-serverless.amazonaws.com';
/** A Redshift-managed VPC endpoint of the cluster `sales`: the host says the endpoint's name, and no cluster's. */
export const VPC_HOST = 'office-endpoint-k7rfausgmlzieup51zgg.abc123.us-east-1.redshift.amazonaws.com';
/** In another partition; seen only by who asks for its region. */
export const CHINA_HOST = 'china.abc123.cn-north-1.redshift.amazonaws.com.cn';
export const SOVEREIGN_HOST = 'souverain.123456789012.eusc-de-east-1.redshift-serverless.amazonaws.eu';

export interface AwsDirect {
  aws: AwsDouble;
  /** Who the environment belongs to. */
  person: Principal;
  redshift: RedshiftDouble;
  postgres: Postgres;
  dir: string;
  caFile: string;
  /** Of a process that is this person. */
  vars: Record<string, string>;
  envOf(options?: MemoryEnvOptions): MemoryEnv;
  /** Run `tsh` as the person, in this process. */
  tsh(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  stop(): Promise<void>;
}

/** @param options.now  the clock of AWS, milliseconds */
export async function startAwsDirect(options: { now?: () => number } = {}): Promise<AwsDirect> {
  const aws = await startAwsDouble(options);
  const person = aws.addUser('alice', {
    policies: [
      {
        Statement: [
          {
            Effect: 'Allow',
            Action: ['redshift:*', 'redshift-serverless:*', 'sts:AssumeRole'],
            Resource: '*',
          },
        ],
      },
    ],
  });
  const ca = createTestCa('Amazon');
  const [postgres, dir] = await Promise.all([
    startPostgres({ users: [{ name: 'analyst' }] }),
    mkdtemp(join(tmpdir(), 'aws-direct-')),
  ]);
  const tls = ca.issue(['localhost', SALES_HOST, VPC_HOST, REPORTS_HOST, CHINA_HOST, SOVEREIGN_HOST]);
  const sales = aws.addRedshiftCluster({ id: 'sales', tags: { team: 'sales', env: 'prod' } });
  aws.addRedshiftCluster({ id: 'archive', status: 'paused' });
  const reports = aws.addServerlessWorkgroup({ name: 'reports', tags: { team: 'finance' } });
  const china = aws.addRedshiftCluster({ id: 'china', region: 'cn-north-1' });
  const sovereign = aws.addServerlessWorkgroup({ name: 'souverain', region: 'eusc-de-east-1' });
  const redshift = await startRedshiftDouble({
    aws,
    postgres,
    clusters: [
      { id: 'sales', tls },
      { workgroup: 'reports', tls },
      { id: 'china', tls },
      { workgroup: 'souverain', tls },
    ],
  });
  sales.vpcEndpoints = [{ name: 'office', address: VPC_HOST }];
  sales.endpoint = { address: SALES_HOST, port: redshift.ports.sales! };
  reports.endpoint = { address: REPORTS_HOST, port: redshift.ports.reports! };
  china.endpoint!.port = redshift.ports.china!;
  sovereign.endpoint!.port = redshift.ports.souverain!;
  const names = namesOnThisMachine();
  const caFile = join(dir, 'ca.pem');
  await writeFile(caFile, ca.certPem);
  const vars: Record<string, string> = { ...aws.env(person), AWS_REGION: aws.region };
  const before: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(vars)) {
    before[name] = process.env[name];
    process.env[name] = value;
  }
  const envOf = (options: MemoryEnvOptions = {}) =>
    memoryEnv({
      home: dir,
      cwd: dir,
      columns: 200,
      ...options,
      vars: { PATH: process.env.PATH, ...vars, ...options.vars },
    });
  return {
    aws,
    person,
    redshift,
    postgres,
    dir,
    caFile,
    vars,
    envOf,
    async tsh(...args) {
      const env = envOf({ input: '' });
      const status = await runTsh(args, env);
      return { status, stdout: env.out(), stderr: env.err() };
    },
    async stop() {
      names[Symbol.dispose]();
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      await redshift.stop();
      await postgres.stop();
      await aws.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** While held, host names of AWS lead to this machine. */
function namesOnThisMachine(): Disposable {
  const dns = createRequire(import.meta.url)('node:dns') as typeof Dns;
  const { lookup } = dns;
  const toLoopback = (host: string, ...rest: unknown[]) =>
    (lookup as (...args: unknown[]) => void)(/\.amazonaws\.(com|com\.cn|eu)$/.test(host) ? '127.0.0.1' : host, ...rest);
  dns.lookup = toLoopback as unknown as typeof lookup;
  return {
    [Symbol.dispose]() {
      dns.lookup = lookup;
    },
  };
}
