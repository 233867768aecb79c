/**
 * `npm run demo`: the whole job on this machine, without an account anywhere. PostgreSQL is a real server from an npm
 * package, AWS and Redshift are the doubles of the tests, the cluster and every command are the built programs as
 * processes of their own. First a cluster, then the same Redshift without one. `npm run demo -- --keep` leaves it running
 * and prints the environment to use it from a shell.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { stringify } from 'yaml';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { runTsh } from '../../src/tsh/main.js';
import { roleResource, SERVERLESS_ROLE, startAgentAws, startDatabases } from '../support/databases.js';
import { memoryEnv } from '../support/env.js';
import { freePort } from '../support/free-port.js';
import { cancelQuery } from '../support/pg-cancel.js';
import { type Person, signUp } from '../support/sign-up.js';
import { type AwsPerson, awsStory, makeAwsPerson, type Sql } from './aws-direct.js';
import { openStage, quote, type Running, type Stage } from './stage.js';

const USER = 'alice';
const PASSWORD = 'correct horse battery';
const CLUSTER = 'demo.example.com';
const onDevAs = (dbUser: string) => [`--db-user=${dbUser}`, '--db-name=dev'];
const ON_DEV = onDevAs('analyst');

/** What the services have said so far, for the case of a failure. */
let serviceLog = () => '';
const isKept = process.argv.includes('--keep');
const stage = await openStage((text) => void process.stdout.write(text));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void stage.close().finally(() => process.exit(130)));
}
try {
  const cast = await story(stage);
  tellTimes(stage);
  if (isKept) await keep(stage, cast);
  else stage.say('To play with such a cluster: npm run demo -- --keep');
} catch (error) {
  console.error(`\nThe demo stopped: ${(error as Error).message}`);
  console.error(serviceLog());
  process.exitCode = 1;
} finally {
  await stage.close();
}

interface Cast {
  person: Person;
  awsPerson: AwsPerson;
  proxyAddr: string;
}

async function story(stage: Stage): Promise<Cast> {
  const { run, say, step } = stage;

  say('--- A cluster: Auth, Proxy and Database Service in one process\n');
  const aws = await startAgentAws();
  stage.onClose(() => aws.aws.stop());
  const proxyAddr = await step('teleport start', () => startCluster(stage, aws.env));

  say('--- Databases: PostgreSQL with a certificate of the cluster, Redshift, Redshift Serverless\n');
  const awsPerson = await step('databases', async () => {
    await run('tctl', ['auth', 'sign', '--format=db', '--host=localhost', '--out=server', '--ttl=24h']);
    const [cert, key, ca] = await Promise.all(
      ['crt', 'key', 'cas'].map((suffix) => readFile(join(stage.dir, `server.${suffix}`), 'utf8')),
    );
    const databases = await startDatabases({ cert: cert!, key: key!, ca: ca! }, { aws: aws.aws });
    stage.onClose(() => databases.stop());
    await writeFile(join(stage.dir, 'databases.yaml'), yamlOf(databases.resources));
    await run('tctl', ['create', 'databases.yaml']);
    return await makeAwsPerson(stage, aws.aws, databases.redshiftCa!);
  });

  say('--- A role, and a person who signs up\n');
  const person = await step('role, user, sign-up', () => makePerson(stage));

  say('--- The person: from a password to rows\n');
  await step('tsh login', () => login(stage, person, proxyAddr));
  await step('tsh db ls', async () => {
    await run('tsh', ['db', 'ls']);
  });
  await step('tsh db login', async () => {
    await run('tsh', ['db', 'login', ...ON_DEV, 'orders']);
  });
  const hasPsql = (await findPsql(stage.vars.PATH)) !== undefined;
  if (!hasPsql) say('(psql is not on this machine, so "db exec" instead of "db connect")\n');
  const sql: Sql = (db, where, text, refusal) => {
    const args = hasPsql
      ? ['db', 'connect', db, ...where, '--', '-c', text]
      : ['db', 'exec', text, `--dbs=${db}`, ...where];
    return run('tsh', args, refusal ? { refusal } : {});
  };
  await step('SQL on PostgreSQL', async () => {
    await sql(
      'orders',
      ON_DEV,
      'create table orders as select i as id, i * 10 as amount from generate_series(1, 100) i',
    );
    await sql('orders', ON_DEV, 'select count(*), sum(amount) from orders');
  });
  await step('SQL on Redshift', () => sql('sales', ON_DEV, 'select current_user, version()'));
  await step('SQL on Redshift Serverless', () => sql('reports', onDevAs(SERVERLESS_ROLE), 'select current_user'));
  await step('a denied user', () => sql('orders', onDevAs('postgres'), 'select 1', /access to db denied/));

  say('--- A tool that speaks PostgreSQL, on a local port\n');
  const tunnel = await step('proxy db --tunnel', () => startTunnel(stage));
  await step('a query through it', () => queryThrough(stage, tunnel.port));
  await step('a query cancelled in flight', () => cancelThrough(stage, tunnel.port));
  await tunnel.running.stop();

  say('--- And out\n');
  await step('tsh db logout', () => run('tsh', ['db', 'logout']));
  await step('tsh logout', () => run('tsh', ['logout']));

  await awsStory(stage, awsPerson, sql);
  return { person, awsPerson, proxyAddr };
}

/** Gives the address of the Proxy. */
async function startCluster(stage: Stage, awsVars: Record<string, string>): Promise<string> {
  const [authPort, proxyPort] = [await freePort(), await freePort()];
  const proxyAddr = `localhost:${proxyPort}`;
  const config = {
    version: 'v3',
    teleport: { nodename: 'localhost', data_dir: join(stage.dir, 'data') },
    auth_service: {
      enabled: 'yes',
      listen_addr: `127.0.0.1:${authPort}`,
      cluster_name: CLUSTER,
      authentication: { type: 'local', second_factor: 'otp' },
    },
    proxy_service: { enabled: 'yes', web_listen_addr: `127.0.0.1:${proxyPort}`, public_addr: proxyAddr },
    db_service: { enabled: 'yes', resources: [{ labels: { '*': '*' } }] },
  };
  await stage.file('teleport.yaml', stringify(config));
  // Only the Database Service speaks to AWS, so only its process knows the way.
  const vars = { ...stage.vars, ...awsVars };
  const running = await stage.start('teleport', ['start', '--config=teleport.yaml'], /Database Service is ready/, vars);
  stage.say(running.text());
  serviceLog = running.text;
  stage.vars.TELEPORT_CONFIG_FILE = join(stage.dir, 'teleport.yaml');
  stage.vars.SSL_CERT_FILE = join(stage.dir, 'data', 'webproxy_cert.pem');
  return proxyAddr;
}

async function makePerson(stage: Stage): Promise<Person> {
  const role = roleResource('analyst', { db_users: ['analyst', SERVERLESS_ROLE], db_names: ['dev'] });
  await stage.file('analyst.yaml', stringify(role));
  await stage.run('tctl', ['create', 'analyst.yaml']);
  const { stdout } = await stage.run('tctl', ['users', 'add', USER, '--roles=analyst']);
  const url = /https:\S+\/web\/invite\/\S+/.exec(stdout)?.[0];
  if (!url) throw new Error('tctl users add printed no link');
  const person = await signUp(url, await readFile(stage.vars.SSL_CERT_FILE!, 'utf8'), { password: PASSWORD });
  stage.say(`(${USER} opens the link, scans the QR code and chooses a password: done here by the same web calls)\n`);
  return person;
}

/**
 * A login wants a terminal for its questions, and a machine may have no tool that makes one. So this one command runs in
 * this process, with an environment that says "terminal" and types the answers; the code is that of `dist/tsh.js`.
 */
async function login(stage: Stage, person: Person, proxyAddr: string): Promise<void> {
  const args = ['login', `--proxy=${proxyAddr}`, `--user=${USER}`];
  stage.show('tsh', ...args);
  const env = memoryEnv({ vars: stage.vars, home: stage.home, cwd: stage.dir, tty: { stdin: true } });
  const running = runTsh(args, env);
  const typed = async (question: string, answer: () => string | Promise<string>) => {
    await Promise.race([env.untilErr(question), running]);
    env.type(`${await answer()}\r`);
  };
  await typed('Enter password', () => person.password);
  await typed('Enter an OTP code', () => person.freshCode());
  const status = await running;
  stage.say(env.err().trimEnd());
  stage.say(env.out());
  if (status !== 0) throw new Error(`tsh login ended with status ${status}`);
}

async function startTunnel(stage: Stage): Promise<{ running: Running; port: number }> {
  const args = ['proxy', 'db', 'orders', '--tunnel', ...ON_DEV];
  const running = await stage.start('tsh', args, /\$ psql .*\n/);
  stage.say(running.text());
  return { running, port: Number(/127\.0\.0\.1:(\d+)/.exec(running.text())?.[1]) };
}

async function queryThrough(stage: Stage, port: number): Promise<void> {
  const client = await open(port);
  const text = 'select id, amount from orders order by id desc limit 1';
  stage.say(`(a client on 127.0.0.1:${port}, without password or certificate) ${text};`);
  stage.say(`${JSON.stringify((await client.query(text)).rows)}\n`);
  await client.end();
}

async function cancelThrough(stage: Stage, port: number): Promise<void> {
  const client = await open(port);
  stage.say('(the same client) select pg_sleep(60);  -- and Ctrl-C');
  const running = client.query('select pg_sleep(60)').then(
    () => 'it was not cancelled',
    (error: Error & { code?: string }) => `ERROR:  ${error.message} (SQLSTATE ${error.code})`,
  );
  await untilSleeping(port);
  const start = performance.now();
  await cancelQuery(client);
  const answer = await running;
  if (!answer.includes('57014')) throw new Error(answer);
  stage.say(`${answer}, after ${Math.round(performance.now() - start)} ms\n`);
  await client.end();
}

async function untilSleeping(port: number): Promise<void> {
  const watcher = await open(port);
  const deadline = Date.now() + 10_000;
  for (let isSleeping = false; !isSleeping; ) {
    if (Date.now() > deadline) throw new Error('the query to cancel did not start');
    const text = "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'";
    isSleeping = (await watcher.query(text)).rows.length > 0;
  }
  await watcher.end();
}

async function open(port: number): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'analyst', database: 'dev' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function keep(stage: Stage, { person, awsPerson, proxyAddr }: Cast): Promise<void> {
  const otp = join(stage.dir, 'bin', 'otp');
  const source = [
    `import { TOTP, Secret } from ${JSON.stringify(import.meta.resolve('otpauth'))};`,
    `console.log(new TOTP({ secret: Secret.fromBase32('${person.totpSecret}') }).generate());`,
  ];
  await writeFile(`${otp}.mjs`, source.join('\n'));
  await writeFile(otp, `#!/bin/sh\nexec "${process.execPath}" "${otp}.mjs"\n`, { mode: 0o755 });
  const lines = [
    '',
    'The cluster keeps running. Paste this into another shell:',
    '',
    `  export PATH=${join(stage.dir, 'bin')}:$PATH`,
    ...['HOME', 'SSL_CERT_FILE', 'TELEPORT_CONFIG_FILE'].map((name) => `  export ${name}=${stage.vars[name]}`),
    `  export TELEPORT_PROXY=${proxyAddr} TELEPORT_USER=${USER}`,
    '',
    `Then: tsh login; tsh db ls; tsh db connect sales ${ON_DEV.join(' ')}; tctl users ls`,
    `Password of ${USER}: ${person.password}`,
    `Code of now: ${person.code()}; later ones: otp (each counts once; secret ${person.totpSecret})`,
    '',
    'The same Redshift without the cluster, in a third shell:',
    '',
    `  export PATH=${join(stage.dir, 'bin')}:$PATH HOME=${stage.vars.HOME}`,
    ...Object.entries(awsPerson.vars).map(([name, value]) => `  export ${name}=${quote(value)}`),
    '',
    `Then: tsh login --aws --ca-file=${awsPerson.caFile}; tsh db ls; tsh db connect sales --db-user=analyst; tsh status`,
    '',
    'Ctrl-C here ends everything and removes it.',
  ];
  for (const line of lines) stage.say(line);
  // Ends with the signal, whose handler closes the stage.
  await new Promise(() => setInterval(() => {}, 60_000));
}

function tellTimes(stage: Stage): void {
  const width = Math.max(...stage.steps.map(({ name }) => name.length));
  for (const { name, ms } of stage.steps) stage.say(`${name.padEnd(width)}  ${(ms / 1000).toFixed(2).padStart(6)} s`);
  const total = stage.steps.reduce((sum, { ms }) => sum + ms, 0);
  stage.say(`${'all'.padEnd(width)}  ${(total / 1000).toFixed(2).padStart(6)} s\n`);
}

function yamlOf(resources: object[]): string {
  return resources.map((one) => stringify(one)).join('---\n');
}
