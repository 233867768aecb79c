/**
 * Amazon's own Python driver: straight to the double with its own IAM login, through our local proxy, and through the
 * Database Service. It must see the same three times. Skipped where `redshift_connector` is not installed
 * (`pip install redshift-connector`; `PYTHON` names another interpreter).
 */
import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runTsh } from '../../src/tsh/main.js';
import { role, startTestAgent, type TestAgent } from '../db/agent.js';
import { type AwsDirect, startAwsDirect } from '../support/aws-direct.js';

const python = process.env.PYTHON ?? 'python3';
const isThere = spawnSync(python, ['-c', 'import redshift_connector']).status === 0;

/** Arguments: how to connect, as JSON. Standard output: what was seen, as JSON. */
const SCRIPT = `
import json, socket, ssl, sys
import redshift_connector

how = json.loads(sys.argv[1])
ca = how.pop("ca", None)
if ca:
    # The driver trusts the file that it brings and takes no other.
    load = ssl.SSLContext.load_verify_locations
    ssl.SSLContext.load_verify_locations = lambda self, *args, **kwargs: load(self, ca)
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *args, **kwargs: resolve(
    "127.0.0.1" if str(host).endswith(".amazonaws.com") else host, *args, **kwargs)

seen = {}
connection = redshift_connector.connect(database="dev", **how)
connection.autocommit = True
cursor = connection.cursor()
def ask(name, sql, args=None):
    try:
        cursor.execute(sql, args)
        seen[name] = [[str(value) for value in row] for row in cursor.fetchall()] if cursor.description else cursor.rowcount
    except redshift_connector.Error as error:
        detail = error.args[0]
        seen[name] = {key: detail[key] for key in ("S", "C", "M")} if isinstance(detail, dict) else str(detail)

ask("who", "select current_user, current_database()")
ask("types", "select 1, 1.5::numeric(5,2), 'text'::varchar, true, null, '2026-01-02 03:04:05'::timestamp")
ask("parameters", "select %s::int + 1, %s::varchar", (41, "quote ' and % sign"))
ask("made", "create temporary table t (a int, b varchar(20))")
cursor.executemany("insert into t values (%s, %s)", [(1, "one"), (2, "two"), (3, None)])
ask("kept", "select * from t order by a")
ask("many", "select count(*), sum(n) from (select generate_series(1, 20000) as n) s")
ask("wrong", "select * from there_is_no_such_table")
ask("after", "select 'still here'")
connection.close()
print(json.dumps(seen))
`;

let world: AwsDirect;
let agent: TestAgent;
let script: string;
const ended: Promise<unknown>[] = [];
const stops: (() => void)[] = [];

beforeAll(async () => {
  if (!isThere) return;
  world = await startAwsDirect();
  script = join(world.dir, 'driver.py');
  await writeFile(script, SCRIPT);
}, 40_000);
afterAll(async () => {
  for (const stop of stops) stop();
  await Promise.all(ended);
  await agent?.stop();
  await world?.stop();
});

async function see(how: Record<string, unknown>): Promise<Record<string, unknown>> {
  const env = { PATH: process.env.PATH, HOME: world.dir, ...world.vars };
  const { stdout } = await promisify(execFile)(python, [script, JSON.stringify(how)], { env, timeout: 30_000 });
  return JSON.parse(stdout);
}

/** `tsh proxy db --tunnel` with alice's own rights. @returns its port */
async function ownProxy(): Promise<number> {
  await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`);
  const env = world.envOf({ input: '' });
  ended.push(runTsh(['proxy', 'db', 'sales', '--tunnel', '--db-user=analyst', '--db-name=dev'], env));
  stops.push(() => env.interrupt('SIGTERM'));
  const giveUp = performance.now() + 10_000;
  for (;;) {
    const port = /127\.0\.0\.1:(\d+)/.exec(env.out())?.[1];
    if (port) return Number(port);
    if (performance.now() > giveUp || env.err()) throw new Error(`proxy db did not start: ${env.out()}${env.err()}`);
    await new Promise(setImmediate);
  }
}

/** The Database Service, entered without Proxy and tsh. @returns its port */
async function databaseService(): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  agent = await startTestAgent({
    databases: [
      {
        kind: 'db',
        version: 'v3',
        metadata: { name: 'sales', labels: {} },
        spec: {
          protocol: 'postgres',
          uri: `localhost:${world.redshift.ports.sales}`,
          tls: { ca_cert: await readFile(world.caFile, 'utf8') },
          aws: { region: world.aws.region, account_id: world.aws.accountId, redshift: { cluster_id: 'sales' } },
        },
      },
    ],
  });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'sales' });
  return agent.port;
}

(isThere ? describe : describe.skip)("Amazon's Python driver", () => {
  test('sees the same through the local proxy and the Database Service as with a login of its own', async () => {
    const iam = { iam: true, cluster_identifier: 'sales', db_user: 'analyst', endpoint_url: world.aws.url };
    const own = await see({ ...iam, region: world.aws.region, sslmode: 'verify-full', ca: world.caFile });
    expect(own).toMatchObject({
      who: [['analyst', 'dev']],
      parameters: [['42', "quote ' and % sign"]],
      kept: [
        ['1', 'one'],
        ['2', 'two'],
        ['3', 'None'],
      ],
      many: [['20000', '200010000']],
      wrong: { S: 'ERROR', C: '42P01' },
      after: [['still here']],
    });
    const plain = { host: '127.0.0.1', user: 'analyst', password: '', ssl: false };
    expect(await see({ ...plain, port: await ownProxy() })).toEqual(own);
    expect(await see({ ...plain, port: await databaseService() })).toEqual(own);
    const sent = world.redshift.logins.map(({ parameters }) => Object.keys(parameters).sort());
    expect(sent[0]).toEqual(expect.arrayContaining(['client_protocol_version', 'driver_version', 'os_version']));
    expect(sent[1]).toEqual(sent[0]);
    // The Database Service keeps the application's name for its audit log.
    expect(sent[2]).toEqual(sent[0]!.filter((name) => name !== 'application_name'));
  }, 60_000);
});
