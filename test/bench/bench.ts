/**
 * `npm run bench`: what the programs cost, as ratios of things measured in the same run on the same machine, written to
 * `docs/benchmarks.md`. `npm run bench -- --quick` measures little and writes nothing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { benchRelay } from '../../src/net/relay.bench.js';
import { benchAwsDirect } from './aws-direct.js';
import { type BenchCluster, ON_ORDERS, startBenchCluster } from './cluster.js';
import { copyRates, firstRow, firstRows, idleMemory, inTurns, psqlUri, residentKib, roundTrips } from './measure.js';
import { ended, programArgs } from './processes.js';
import { awsCalls } from './redshift.js';
import { createReport, ms, rate, times } from './report.js';

const isQuick = process.argv.includes('--quick');
const few = (full: number, quick: number) => (isQuick ? quick : full);
const report = createReport(console.log);
const { add } = report;

const loadAtStart = loadavg()[0]!;
const psql = await findPsql(process.env.PATH);
await startUp();
const cluster = await startBenchCluster();
try {
  await firstRow(cluster.tunnel);
  const fresh = residentKib(cluster.pids['tsh proxy db']) / 1024;
  add('`tsh proxy db` process after its first connection', `${fresh.toFixed(0)} MiB`, '', '≤ 80 MiB', fresh <= 80);
  await commands(cluster);
  await connections(cluster);
  await latency(cluster);
  await copies(cluster);
  await memory(cluster);
  await askedOfAws(cluster);
} finally {
  await cluster.stop();
}
await benchAwsDirect({ report, few, psql });
if (!isQuick) {
  const loops: string[] = [];
  await benchRelay((line) => {
    loops.push(line);
    console.log(line);
  });
  await writeFile('docs/benchmarks.md', page(loops));
  console.log('wrote docs/benchmarks.md');
}

/** Programs that only start and end, in an empty home. */
async function startUp(): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'bench-home-'));
  const vars = { PATH: process.env.PATH ?? '', HOME: home };
  const node = (...args: string[]) => ended(process.execPath, args, vars);
  const took = await inTurns(few(21, 3), {
    node: () => node('-e', '0'),
    version: () => node(...programArgs('tsh', 'version')),
    help: () => node(...programArgs('tsh', '--help')),
  });
  await rm(home, { recursive: true });
  add('`node -e 0`', ms(took.node));
  add(
    '`tsh version`',
    ms(took.version),
    `${times(took.version / took.node)} of \`node -e 0\``,
    '≤ 1.3 ×',
    took.version / took.node <= 1.3,
  );
  add(
    '`tsh --help`',
    ms(took.help),
    `${times(took.help / took.node)} of \`node -e 0\``,
    '≤ 1.3 ×',
    took.help / took.node <= 1.3,
  );
}

/** Whole commands as a person starts them. */
async function commands({ vars, direct }: BenchCluster): Promise<void> {
  const tsh = (...args: string[]) => ended(process.execPath, programArgs('tsh', ...args), vars);
  const works: Record<string, () => Promise<unknown>> = {
    node: () => ended(process.execPath, ['-e', '0'], vars),
    ls: () => tsh('db', 'ls'),
    exec: () => tsh('db', 'exec', 'select 1', '--dbs=orders', ...ON_ORDERS),
    ...(psql
      ? {
          connect: () => tsh('db', 'connect', 'orders', ...ON_ORDERS, '--', '-c', 'select 1'),
          psql: () =>
            ended(psql, ['-d', psqlUri(direct), '-c', 'select 1'], { ...vars, PGPASSWORD: direct.password ?? '' }),
        }
      : {}),
  };
  const { node = 0, ls = 0, exec = 0, connect, psql: plain } = await inTurns(few(11, 2), works);
  const ofNode = (value: number) => `${times(value / node)} of \`node -e 0\``;
  add('`tsh db ls`', ms(ls), ofNode(ls));
  add('`tsh db exec "select 1"`, to its end', ms(exec), ofNode(exec));
  if (connect && plain) {
    const added = `${ofNode(connect)}; ${times(connect / plain)} of psql direct (${ms(plain)})`;
    add('`tsh db connect -- -c "select 1"`, to its end', ms(connect), added);
  }
}

/** Connect, first row, disconnect: one at a time, then ten at once. */
async function connections({ direct, tunnel }: BenchCluster): Promise<void> {
  const rounds = few(31, 3);
  const one = await inTurns(rounds, { direct: () => firstRow(direct), tunnel: () => firstRow(tunnel) });
  const many = await inTurns(rounds, { direct: () => firstRows(direct, 10), tunnel: () => firstRows(tunnel, 10) });
  add(
    'connect to first row through `tsh proxy db --tunnel`',
    ms(one.tunnel),
    `${times(one.tunnel / one.direct)} of direct TLS (${ms(one.direct)})`,
  );
  add(
    '10 parallel connects to first row',
    ms(many.tunnel),
    `${times(many.tunnel / one.tunnel)} of one; direct ${times(many.direct / one.direct)} of one (${ms(many.direct)})`,
    '≤ 1.3 × of one',
    many.tunnel / one.tunnel <= 1.3,
  );
}

async function latency({ direct, tunnel }: BenchCluster): Promise<void> {
  const trip = await roundTrips({ direct, tunnel }, few(4000, 200));
  const ratio = `${times(trip.tunnel / trip.direct)} of direct TLS (${trip.direct.toFixed(3)} ms)`;
  add(
    '`select 1` on an open connection',
    `${trip.tunnel.toFixed(3)} ms`,
    ratio,
    '≤ 6.8 × of direct',
    trip.tunnel / trip.direct <= 6.8,
  );
}

async function copies({ direct, tunnel }: BenchCluster): Promise<void> {
  const bytes = few(200, 20) * 1_000_000;
  const rates = await copyRates({ direct, tunnel }, { bytes, rounds: few(5, 1), psql });
  const ratio = rates.tunnel / rates.direct;
  const ofDirect = `${times(ratio)} of direct TLS (${rate(rates.direct)})`;
  add(`COPY out, ${bytes / 1e6} MB`, rate(rates.tunnel), ofDirect, '≥ 1.02 × of direct', ratio >= 1.02);
}

async function memory({ pids, tunnel }: BenchCluster): Promise<void> {
  const proxy = residentKib(pids['tsh proxy db']);
  const grown = await idleMemory(tunnel, pids, few(200, 20));
  const parts = Object.entries(grown).map(([name, kib]) => `${name} ${kib.toFixed(0)}`);
  const all = Object.values(grown).reduce((sum, kib) => sum + kib, 0);
  add('memory of an idle connection, whole path', `${all.toFixed(0)} KiB`, parts.join(', '), '≤ 200 KiB', all <= 200);
  add('`tsh proxy db` process after all of the above', `${(proxy / 1024).toFixed(0)} MiB`);
}

/** Passwords of Redshift are made once and used by all. */
async function askedOfAws({ redshift }: BenchCluster): Promise<void> {
  const { connections, cancel } = await awsCalls(redshift, redshift.tunnel, 100);
  add('calls to AWS for 100 connections to Redshift', String(connections), '', '1', connections === 1);
  add('calls to AWS for a cancel', String(cancel), '', '0', cancel === 0);
}

function page(loops: readonly string[]): string {
  const cores = availableParallelism();
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return `# Benchmarks

<!-- Written by \`npm run bench\`. -->

${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cores} cores, ${memoryGib} GiB of memory, load ${loadAtStart.toFixed(1)} from other
work when it began, everything on this one machine and over loopback. Command: \`npm run bench\`. All processes share the cores, so
absolute numbers say little elsewhere; the ratios are of things measured in turns in the same run.

| What | Measured | Ratio | Target | |
|---|---|---|---|---|
${report.rows()}

The cluster is one process with Auth, Proxy and Database Service, the local proxy another, PostgreSQL (without fsync) the third;
the client is ${psql ? 'psql for COPY and the `pg` package for the rest' : 'this program'}. "Direct" is the same client on the same server over TLS, without us. Numbers are medians. Every statement
of the tunnel is in the audit log; the direct ones have none. Two targets stand for figures of Teleport 18 on another machine
(0.82 ms a \`select\` where direct was 0.06 ms; 349 MB of COPY in 5 s where direct took 1.7 s): half of its latency, and three times
its throughput, each as a ratio to direct.

"AWS direct" is a person's own IAM identity and \`tsh proxy db --aws --tunnel\`, without a cluster. AWS is the double of the
tests. Connections, latency and COPY go to a PostgreSQL server with TLS that takes its user without a password, so that what is
measured is the way and not the server's login; calls are counted on the Redshift double, which checks every password. Ten
milliseconds are a round trip through a socket that holds each byte back for five: on this machine ten logins at once share
two cores with the server that they log in to, on a network they wait together. stunnel
(Debian, Ubuntu: \`apt-get install stunnel4\`) is in client mode with \`protocol = pgsql\`, verifies chain and name, and stands
between the same psql and the same server. \`tsh db ls --aws\` asks for
clusters, workgroups and their VPC endpoints, the \`aws\` command for clusters only.

What the relay alone does between two sockets of one process, beside nothing and beside \`pipe\`:

\`\`\`
${loops.join('\n')}
\`\`\`
`;
}
