/** The lines of the benchmark about AWS direct: a person's own IAM identity, no cluster. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type AwsWorld, startAwsWorld } from './aws-world.js';
import { copyRates, firstRow, firstRows, inTurns, roundTrips, type Target } from './measure.js';
import { ended, onPath, programArgs } from './processes.js';
import { awsCalls } from './redshift.js';
import { ms, type Report, rate, times } from './report.js';

export interface AwsBenchOptions {
  report: Report;
  /** How often: the first number, or the second when little is measured. */
  few(full: number, quick: number): number;
  psql: string | undefined;
}

const NO_STUNNEL = 'there is no `stunnel` in PATH; Debian and Ubuntu: `apt-get install stunnel4`';
const NO_AWS = 'there is no `aws` in PATH; `npm run test:peers` brings one, or: `pip install awscli`';

export async function benchAwsDirect(options: AwsBenchOptions): Promise<void> {
  const world = await startAwsWorld();
  try {
    await startUp(world, options);
    await calls(world, options);
    const orders = await world.proxy('orders');
    await connections(world, orders, options);
    await latency(world, orders, options);
    await copies(world, orders, options);
  } finally {
    await world.stop();
  }
}

/** Both ask the same double; ours for workgroups and their endpoints as well. */
async function startUp({ vars }: AwsWorld, { report, few }: AwsBenchOptions): Promise<void> {
  const what = '`tsh db ls --aws`';
  const own = resolve('node_modules/.cache/teleshift/peers/bin/aws');
  const aws = existsSync(own) ? own : onPath('aws');
  const took = await inTurns<string>(few(11, 2), {
    node: () => ended(process.execPath, ['-e', '0'], vars),
    tsh: () => ended(process.execPath, programArgs('tsh', 'db', 'ls', '--aws'), vars),
    ...(aws ? { aws: () => ended(aws, ['redshift', 'describe-clusters'], vars) } : {}),
  });
  const ofNode = `${times(took.tsh! / took.node!)} of \`node -e 0\``;
  if (!took.aws) {
    report.add(what, ms(took.tsh!), ofNode);
    return report.skip(`${what} beside \`aws redshift describe-clusters\``, NO_AWS);
  }
  const ratio = took.tsh! / took.aws;
  const ofAws = `${times(ratio)} of \`aws redshift describe-clusters\` (${ms(took.aws)})`;
  report.add(what, ms(took.tsh!), `${ofAws}; ${ofNode}`, '≤ 1 ×', ratio <= 1);
}

/** What AWS is asked while a proxy lives. */
async function calls(world: AwsWorld, { report, few }: AwsBenchOptions): Promise<void> {
  const { aws } = world;
  const before = aws.calls.length;
  const sales = await world.proxy('sales');
  const count = few(100, 20);
  const { cancel } = await awsCalls(world, sales, count);
  const made = aws.calls.slice(before);
  const passwords = made.filter(({ action }) => action === 'redshift:GetClusterCredentials').length;
  const found = `and ${made.length - passwords - cancel} before, to find the cluster by its name`;
  const isOne = passwords === 1;
  report.add(`calls to AWS for ${count} connections to Redshift, AWS direct`, String(passwords), found, '1', isOne);
  report.add('calls to AWS for a cancel, AWS direct', String(cancel), '', '0', cancel === 0);
}

/** Connect, first row, disconnect: one at a time, then ten at once; here, and on a server that is ten milliseconds away. */
async function connections(world: AwsWorld, orders: Target, { report, few }: AwsBenchOptions): Promise<void> {
  const far = await world.proxy('far');
  const places = [
    { where: '', direct: world.direct, proxy: orders },
    { where: ', the server 10 ms away', direct: world.directFar, proxy: far },
  ];
  for (const { where, direct, proxy } of places) {
    const took = await inTurns(few(21, 3), {
      direct: () => firstRow(direct),
      proxy: () => firstRow(proxy),
      directTen: () => firstRows(direct, 10),
      proxyTen: () => firstRows(proxy, 10),
    });
    report.add(
      `connect to first row, AWS direct${where}`,
      ms(took.proxy),
      `${times(took.proxy / took.direct)} of direct TLS (${ms(took.direct)})`,
    );
    const ratio = took.proxyTen / took.proxy;
    const ofDirect = `direct ${times(took.directTen / took.direct)} of one (${ms(took.directTen)})`;
    report.add(
      `10 parallel connects to first row, AWS direct${where}`,
      ms(took.proxyTen),
      `${times(ratio)} of one; ${ofDirect}`,
      '≤ 1.3 × of one',
      ratio <= 1.3,
    );
  }
}

async function latency({ direct, stunnel }: AwsWorld, proxy: Target, options: AwsBenchOptions): Promise<void> {
  const { report, few } = options;
  const targets: Record<string, Target> = { direct, proxy, ...(stunnel ? { stunnel } : {}) };
  const trip = await roundTrips(targets, few(4000, 200));
  const added = (name: string) => `${((trip[name]! - trip.direct!) * 1000).toFixed(0)} µs`;
  const beside = stunnel ? `; stunnel adds ${added('stunnel')}` : '';
  report.add(
    '`select 1` on an open connection, AWS direct',
    `${trip.proxy!.toFixed(3)} ms`,
    `${added('proxy')} more than direct TLS (${trip.direct!.toFixed(3)} ms)${beside}`,
  );
}

async function copies({ direct, stunnel }: AwsWorld, proxy: Target, options: AwsBenchOptions): Promise<void> {
  const { report, few, psql } = options;
  const bytes = few(200, 20) * 1_000_000;
  const what = `COPY out, ${bytes / 1e6} MB, AWS direct`;
  const targets: Record<string, Target> = { direct, proxy, ...(stunnel ? { stunnel } : {}) };
  const rates = await copyRates(targets, { bytes, rounds: few(5, 1), psql });
  const ofDirect = `${times(rates.proxy! / rates.direct!)} of direct TLS (${rate(rates.direct!)})`;
  if (!stunnel) {
    report.add(what, rate(rates.proxy!), ofDirect);
    return report.skip(`${what} beside \`stunnel\``, NO_STUNNEL);
  }
  const ratio = rates.proxy! / rates.stunnel!;
  const ofStunnel = `${times(ratio)} of stunnel (${rate(rates.stunnel!)})`;
  report.add(what, rate(rates.proxy!), `${ofStunnel}; ${ofDirect}`, '≥ 0.9 × of stunnel', ratio >= 0.9);
}
