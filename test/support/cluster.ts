/**
 * A whole cluster, in this process or as the built program in one of its own: Auth, Proxy and Database Service on free
 * ports with a folder of their own, databases behind them, people who have signed up, and `tsh` and `tctl` run here with
 * an environment in memory. One a test file: it takes seconds to start.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { runProgram } from '../../src/cli/program.js';
import { joinHostPort } from '../../src/host-port.js';
import { createLogger } from '../../src/log.js';
import { program as tctlProgram } from '../../src/tctl/commands.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { runTsh } from '../../src/tsh/main.js';
import { type AgentAws, type Databases, startAgentAws, startDatabases } from './databases.js';
import { type MemoryEnv, type MemoryEnvOptions, memoryEnv } from './env.js';
import { freePort } from './free-port.js';
import { type ProgramOptions, startProgram } from './program-process.js';
import { type Person, signUp } from './sign-up.js';
import { until } from './until.js';

export { roleResource } from './databases.js';

export interface UserOptions {
  name: string;
  roles: string[];
}

export interface ClusterOptions {
  /** Default `test.example.com`. */
  name?: string;
  /** Environment of the services; in this process only. */
  serviceVars?: Record<string, string>;
  /** A plain PostgreSQL server `orders`; default false. */
  postgres?: boolean;
  /** With it also `sales` (Redshift) and `reports` (Serverless); default false. */
  redshift?: boolean;
  /** Role resources. */
  roles?: object[];
  /** Made and signed up. */
  users?: UserOptions[];
  /** A Database Service in the same process; default true. */
  agent?: boolean;
  /** Of the services; default a folder of its own. */
  dataDir?: string;
  /** Default `off`: a code counts once in 30 s. */
  secondFactor?: 'otp' | 'off';
  /** More of the section `auth_service`. */
  auth?: Record<string, unknown>;
  /** More of the section `proxy_service`. */
  proxy?: Record<string, unknown>;
  /** Where Auth listens; default 127.0.0.1. */
  authHost?: string;
  /** Called when the ports are known, before anybody is invited. */
  onStart?: (ports: { proxyPort: number }) => void;
  /** More variables for every `tsh`. */
  vars?: Record<string, string>;
  /** The services' clock; in this process only. */
  now?: () => Date;
  /** Between two looks at certificates of hosts; in this process only. */
  renewalLookMs?: number;
  /** `dist/teleport.js` instead of services in this process. */
  process?: { vars?: Record<string, string> };
}

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** A command that is still running. */
export interface Started {
  env: MemoryEnv;
  /** Its end; after `stop` within a moment. */
  outcome: Promise<Outcome>;
  stop(): Promise<Outcome>;
}

export interface Tunnel {
  port: number;
  /** A client that has logged in. */
  connect(): Promise<pg.Client>;
  started: Started;
}

export interface TestCluster {
  /** `localhost:PORT`. */
  proxyAddr: string;
  name: string;
  dir: string;
  dataDir: string;
  configFile: string;
  /** Value of SSL_CERT_FILE for clients. */
  webCaFile: string;
  teleport: RunningServices;
  databases: Databases | undefined;
  aws: AgentAws | undefined;
  people: Record<string, Person>;
  /** Everything the services have logged. */
  log(): string;
  tctl(...args: string[]): Promise<Outcome>;
  /** What it prints; refuses when it fails. */
  tctlOk(...args: string[]): Promise<string>;
  /** `tctl create` of these; refuses when it fails. */
  create(...resources: object[]): Promise<void>;
  /** With standard input. */
  tctlWith(input: string, ...args: string[]): Promise<Outcome>;
  /** @param home  a folder name under `dir` */
  tsh(home: string, ...args: string[]): Promise<Outcome>;
  /** Start a command that goes on, such as `proxy db`. */
  startTsh(home: string, ...args: string[]): Started;
  envOf(home: string, options?: MemoryEnvOptions): MemoryEnv;
  /** `proxy db --tunnel` as the home's person, when it listens. */
  tunnel(home: string, db: string, options?: { dbUser?: string; dbName?: string; cluster?: string }): Promise<Tunnel>;
  addUser(user: UserOptions): Promise<Person>;
  /** `tsh login` as a person at a terminal; refuses when it fails. */
  login(home: string, user: string, ...args: string[]): Promise<Outcome>;
  /** `tsh login` with what is typed given. */
  typeLogin(home: string, answers: string[], ...args: string[]): Promise<Outcome>;
  /** Resolves when `tsh db ls` of the home shows the names. */
  untilListed(home: string, names: string[]): Promise<void>;
  /** Waits for audit events that fit, in order of the log. */
  auditEvents(enough: (events: AuditRecord[]) => boolean): Promise<AuditRecord[]>;
  /** Stop the services, and start them again on the same ports. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export type RunningServices = Pick<RunningTeleport, 'auth' | 'proxy' | 'close'> & {
  /** Where it is a process of its own. */
  pid?: number;
};

export interface AuditRecord {
  event: string;
  code: string;
  [field: string]: unknown;
}

const NAME = 'test.example.com';
const PASSWORD = 'correct horse battery';

export async function startTestCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { secondFactor = 'off', now = () => new Date() } = options;
  const dir = await mkdtemp(join(tmpdir(), 'cluster-'));
  const { dataDir = join(dir, 'data') } = options;
  const configFile = join(dir, 'teleport.yaml');
  const undo: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true, maxRetries: 3 })];
  const tunnels: Started[] = [];
  let logged = '';

  const stop = async () => {
    await Promise.all(tunnels.map((one) => one.stop()));
    for (const one of undo.splice(0).reverse()) await one();
  };
  try {
    const aws = options.redshift ? await startAgentAws() : undefined;
    if (aws) undo.push(() => aws.aws.stop(), useEnvironment(aws.env));

    const writeConfig = (ports: { auth: number; proxy: number }) =>
      writeFile(configFile, JSON.stringify(configOf(dataDir, ports, options)));
    const startHere = async (): Promise<RunningServices> => {
      const { file, raw } = readConfigFile(configFile);
      const log = createLogger({ component: 'PROC', level: 'debug', write: (line) => (logged += line) });
      return await startTeleport(teleportConfig({ config: configFile }, file, raw), {
        log,
        now,
        vars: options.serviceVars ?? {},
        renewalLookMs: options.renewalLookMs,
      });
    };
    const { process: own } = options;
    const startProcess = () =>
      startOwnProcess(configFile, { home: dir, vars: { ...aws?.env, ...own?.vars } }, (text) => (logged = text));
    const start = own ? startProcess : startHere;
    // The same ports after a restart.
    await writeConfig({ auth: await freePort(), proxy: await freePort() });
    const cluster = { teleport: await start() } as TestCluster;
    undo.push(() => cluster.teleport.close({ drainMs: 0 }));
    const { proxy } = cluster.teleport;

    options.onStart?.({ proxyPort: proxy!.port });
    const proxyAddr = `localhost:${proxy!.port}`;
    const webCaFile = join(dataDir, 'webproxy_cert.pem');
    const envOf = (home: string, more: MemoryEnvOptions = {}) => {
      const folder = join(dir, home);
      const vars = {
        HOME: folder,
        PATH: process.env.PATH,
        SSL_CERT_FILE: webCaFile,
        USER: 'nobody',
        ...options.vars,
        ...more.vars,
      };
      return memoryEnv({ home: folder, cwd: dir, ...more, vars });
    };
    const outcomeOf = async (env: MemoryEnv, running: Promise<number>): Promise<Outcome> => {
      const status = await running;
      return { status, stdout: env.out(), stderr: env.err() };
    };
    const tctlWith: TestCluster['tctlWith'] = (input, ...args) => {
      const env = memoryEnv({ cwd: dir, home: dir, input });
      return outcomeOf(env, runProgram(tctlProgram, ['-c', configFile, ...args], env));
    };
    const startTsh: TestCluster['startTsh'] = (home, ...args) => {
      const env = envOf(home);
      const outcome = mkdir(env.home, { recursive: true }).then(() => outcomeOf(env, runTsh(args, env)));
      const stopIt = () => {
        env.interrupt('SIGTERM');
        return outcome;
      };
      return { env, outcome, stop: stopIt };
    };
    const tsh: TestCluster['tsh'] = (home, ...args) => startTsh(home, ...args).outcome;
    const typeLogin: TestCluster['typeLogin'] = async (home, answers, ...args) => {
      const env = envOf(home, { tty: { stdin: true } });
      await mkdir(env.home, { recursive: true });
      // All at once, as pasted: what stands beyond a line is kept for the next question.
      env.type(answers.map((answer) => `${answer}\r`).join(''));
      return await outcomeOf(env, runTsh(['login', ...args], env));
    };

    Object.assign(cluster, {
      proxyAddr,
      name: options.name ?? NAME,
      dir,
      dataDir,
      configFile,
      webCaFile,
      databases: undefined,
      aws,
      people: {},
      log: () => logged,
      tctl: (...args) => tctlWith('', ...args),
      tctlOk: (...args) => outputOf(tctlWith('', ...args)),
      async create(...resources) {
        await outputOf(tctlWith(documents(resources), 'create'));
      },
      tctlWith,
      tsh,
      startTsh,
      envOf,
      typeLogin,
      async tunnel(home, db, { dbUser = 'analyst', dbName = 'dev', cluster: leaf } = {}) {
        const flags = [`--db-user=${dbUser}`, `--db-name=${dbName}`, ...(leaf ? [`--cluster=${leaf}`] : [])];
        const started = startTsh(home, 'proxy', 'db', db, '--tunnel', ...flags);
        tunnels.push(started);
        let ended: Outcome | undefined;
        void started.outcome.then((outcome) => (ended = outcome));
        const port = await until(`proxy db ${db} listens`, async () => {
          if (ended) throw new Error(`proxy db: ${ended.stderr}`);
          return /127\.0\.0\.1:(\d+)/.exec(started.env.out())?.[1];
        });
        return { port: Number(port), started, connect: () => clientOn(Number(port), dbUser, dbName) };
      },
      async addUser({ name, roles }) {
        const added = await cluster.tctlOk('users', 'add', name, `--roles=${roles.join(',')}`, '--format=json');
        const { url } = JSON.parse(added).spec as { url: string };
        const withoutCode = secondFactor === 'off';
        const person = await signUp(url, await readFile(webCaFile, 'utf8'), { password: PASSWORD, withoutCode });
        cluster.people[name] = person;
        return person;
      },
      async login(home, user, ...args) {
        const person = cluster.people[user]!;
        const answers = [person.password, ...(secondFactor === 'off' ? [] : [await person.freshCode()])];
        const outcome = await typeLogin(home, answers, `--proxy=${proxyAddr}`, `--user=${user}`, ...args);
        if (outcome.status !== 0) throw new Error(`tsh login: ${outcome.stderr}`);
        return outcome;
      },
      async untilListed(home, names) {
        await until(`tsh db ls shows ${names}`, async () => {
          const { stdout } = await tsh(home, 'db', 'ls', '--format=json');
          const listed = (JSON.parse(stdout || '[]') as { metadata: { name: string } }[]).map(
            (one) => one.metadata.name,
          );
          return names.every((name) => listed.includes(name)) || undefined;
        });
      },
      auditEvents: (enough) =>
        until('the audit log has the events', async () => {
          const events = await readAudit(dataDir);
          return enough(events) ? events : undefined;
        }),
      async restart() {
        await cluster.teleport.close({ drainMs: 0 });
        cluster.teleport = await start();
      },
      stop,
    } satisfies Omit<TestCluster, 'teleport'>);

    if (options.postgres || options.redshift) {
      const out = join(dir, 'server');
      await cluster.tctlOk('auth', 'sign', '--format=db', '--host=localhost', `--out=${out}`, '--ttl=1000h');
      const [cert, key, ca] = await Promise.all(
        ['crt', 'key', 'cas'].map((suffix) => readFile(`${out}.${suffix}`, 'utf8')),
      );
      const databases = await startDatabases({ cert: cert!, key: key!, ca: ca! }, aws ? { aws: aws.aws } : {});
      undo.push(() => databases.stop());
      cluster.databases = databases;
      await cluster.create(...databases.resources);
      // Said of each that no agent serves.
      const unserved = async () => (await cluster.tctl('db', 'ls')).stderr;
      if (options.agent ?? true)
        await until('the agent serves them', async () => (await unserved()) === '' || undefined);
    }
    if (options.roles?.length) await cluster.create(...options.roles);
    for (const user of options.users ?? []) await cluster.addUser(user);
    return cluster;
  } catch (error) {
    await stop();
    throw new Error(`the test cluster did not start: ${(error as Error).message}\n${logged.slice(-4000)}`, {
      cause: error,
    });
  }
}

/** The built program. It has written where it listens before it is ready. */
async function startOwnProcess(
  configFile: string,
  options: ProgramOptions,
  keep: (log: string) => void,
): Promise<RunningServices> {
  const program = startProgram('teleport', ['start', `--config=${configFile}`], options);
  await program.untilSaid('Database Service is ready');
  const addressOf = (service: string) => {
    const [, host, port] = new RegExp(`${service} Service is listening\\. addr:(\\S+):(\\d+)`).exec(program.text())!;
    return { host: host!, port: Number(port) };
  };
  keep(program.text());
  return {
    auth: addressOf('Auth'),
    proxy: addressOf('Proxy'),
    pid: program.pid,
    async close() {
      program.child.kill('SIGTERM');
      await program.ended;
      keep(program.text());
    },
  };
}

async function clientOn(port: number, user: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database });
  // What ends a connection is told by its queries; without a listener it would end the process.
  client.on('error', () => {});
  await client.connect();
  return client;
}

export function documents(resources: object[]): string {
  return resources.map((one) => JSON.stringify(one)).join('\n---\n');
}

/** @throws what it said when it failed */
async function outputOf(running: Promise<Outcome>): Promise<string> {
  const { status, stdout, stderr } = await running;
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

function configOf(dataDir: string, ports: { auth: number; proxy: number }, options: ClusterOptions) {
  const { secondFactor = 'off', authHost = '127.0.0.1', auth = {}, proxy = {}, agent = true } = options;
  return {
    version: 'v3',
    teleport: { nodename: 'localhost', data_dir: dataDir, log: { severity: 'DEBUG' } },
    auth_service: {
      enabled: 'yes',
      listen_addr: joinHostPort(authHost, ports.auth),
      cluster_name: options.name ?? NAME,
      authentication: { type: 'local', second_factor: secondFactor },
      ...auth,
    },
    proxy_service: { enabled: 'yes', web_listen_addr: `127.0.0.1:${ports.proxy}`, ...proxy },
    db_service: { enabled: agent ? 'yes' : 'no', resources: [{ labels: { '*': '*' } }] },
  };
}

async function readAudit(dataDir: string): Promise<AuditRecord[]> {
  const { readAuditEvents } = await import('../../src/audit/read.js');
  const events: AuditRecord[] = [];
  const from = new Date(Date.now() - 86_400_000);
  const to = new Date(Date.now() + 86_400_000);
  for await (const event of readAuditEvents({ dir: join(dataDir, 'log'), from, to })) events.push(event as AuditRecord);
  return events;
}

/** The AWS SDK reads the environment of the process. Gives what takes it back. */
function useEnvironment(values: Record<string, string>): () => Promise<void> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return async () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
