/**
 * The first and the last packets of a client at a local proxy without a cluster: which protocol it is told, as whom it
 * gets
 * in and as whom not, and what it hears when the proxy stops or the database says nothing.
 * Tests: src/access/access.ts, src/tsh/proxy/db.ts
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runPsql } from '../../src/localproxy/psql/run.js';
import { runTsh } from '../../src/tsh/main.js';
import { type AwsDirect, startAwsDirect } from '../support/aws-direct.js';
import { holdTable } from '../support/held-table.js';
import { errorFields, messagesOf, rawClient, startupPacket } from '../support/pg-raw.js';
import { until } from '../support/until.js';

let world: AwsDirect;
beforeAll(async () => {
  world = await startAwsDirect();
  await world.postgres.query('create role newbie login');
  const { status } = await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`);
  expect(status).toBe(0);
});
afterAll(() => world?.stop());
beforeEach(() => {
  world.redshift.logins.length = 0;
});

/** A running `tsh proxy db`. */
async function proxy(...args: string[]) {
  const env = world.envOf({ input: '' });
  const ended = runTsh(['proxy', 'db', ...args], env);
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    env.interrupt(signal);
    return await ended;
  };
  const port = await until('proxy db listens', async () => {
    if (/ERROR/.test(env.err())) throw new Error(env.err());
    return /psql \S+\n|target database name/.test(env.out()) ? /127\.0\.0\.1:(\d+)/.exec(env.out())?.[1] : undefined;
  }).catch(async (error: unknown) => {
    await stop(); // or the run of the tests would not end
    throw error;
  });
  return { port: Number(port), text: env.out(), stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/** Everything up to the first ReadyForQuery, or up to the end. */
async function enter(port: number, parameters: [string, string][], version = 0x3_0000) {
  const client = await rawClient({ host: '127.0.0.1', port });
  client.socket.write(startupPacket(version, parameters));
  const hello = await client.until('Z').catch(() => messagesOf(client.received()));
  return { client, hello, end: () => client.socket.destroy() };
}
const query = (sql: string) => {
  const body = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
};
async function currentUser({ client }: Awaited<ReturnType<typeof enter>>): Promise<string> {
  client.socket.write(query('select current_user'));
  const row = (await client.until('Z')).find(({ tag }) => tag === 'D')!;
  return row.body.toString('utf8', 6);
}

describe('B10 the user of the StartupMessage on AWS direct', () => {
  test('is the one that the password was made for, in both of its names', async () => {
    await using started = await proxy('sales', '--tunnel', '--db-user=analyst');
    for (const user of ['analyst', 'IAM:analyst']) {
      const entered = await enter(started.port, [
        ['user', user],
        ['database', 'dev'],
      ]);
      expect(await currentUser(entered)).toBe('analyst');
      entered.end();
    }
  });

  test.each([
    ['a plain user', ['sales', '--db-user=analyst'], ['somebodyelse', 'IAM:alice', 'ANALYST', 'postgres'], 'analyst'],
    ["one's own identity", ['sales'], ['somebodyelse', 'alice', 'analyst'], 'IAM:alice'],
    ['a workgroup', ['reports'], ['whoever', 'root'], 'IAM:alice'],
  ])('any other one is refused with 28000 before AWS or the database hear of it: %s', async (_, args, others, own) => {
    await using started = await proxy('--tunnel', ...args);
    for (const user of others) {
      const { hello, end } = await enter(started.port, [
        ['user', user],
        ['database', 'dev'],
      ]);
      expect(hello.map(({ tag }) => tag)).toEqual(['E']);
      expect(errorFields(hello[0]!)).toMatchObject({
        S: 'FATAL',
        V: 'FATAL',
        C: '28000',
        M: `this connection is for database user "${own}" only`,
        H: expect.stringContaining(`psql: -U ${own})`),
      });
      end();
    }
    expect(world.redshift.logins).toEqual([]);
    // What the proxy prints for a person to paste names the right one.
    expect(started.text).toContain(`psql postgres://${encodeURIComponent(own)}@localhost:${started.port}/dev`);
  });

  test('left out or empty it is the one of the proxy', async () => {
    await using started = await proxy('sales', '--tunnel');
    for (const parameters of [[['user', '']], []] as [string, string][][]) {
      const entered = await enter(started.port, parameters);
      expect(await currentUser(entered)).toBe('IAM:alice');
      entered.end();
    }
  });
});

const withPsql = existsSync('/usr/bin/psql') ? test : test.skip;
describe('D4 psql on AWS direct', () => {
  withPsql('is not told to be connected as somebody else', async () => {
    await using started = await proxy('sales', '--tunnel');
    const vars = { PATH: process.env.PATH, HOME: world.dir, USER: 'somebody' };
    const run = (...args: string[]) =>
      runPsql({
        file: '/usr/bin/psql',
        args: ['-X', '-A', '-t', ...args],
        env: vars,
        stdio: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
      });
    const uri = /\$ psql (\S+)/.exec(started.text)![1]!;
    expect(await run(uri, '-c', 'select current_user')).toMatchObject({ status: 0, stdout: 'IAM:alice\n', stderr: '' });
    const other = await run(uri, '-c', '\\c dev somebodyelse', '-c', 'select current_user');
    expect(other.status).not.toBe(0);
    expect(other.stdout).not.toContain('IAM:alice');
    expect(other.stderr).toContain('FATAL:  this connection is for database user "IAM:alice" only');
  });

  test('tsh db exec and tsh db connect name the user to psql themselves', async () => {
    const { status, stdout } = await world.tsh('db', 'exec', 'select current_user', '--dbs=sales');
    expect(status).toBe(0);
    expect(stdout).toContain('IAM:alice');
  });
});

describe('D1 a client of AWS direct that asks for more than protocol 3.0', () => {
  const asked: [string, number, string[], string][] = [
    ['3.2', 0x3_0002, [], '760000000c 00030000 00000000'],
    ['3.9', 0x3_0009, [], '760000000c 00030000 00000000'],
    ['3.0 with an option', 0x3_0000, ['_pq_.foo'], '7600000015 00030000 00000001 5f70715f2e666f6f00'],
  ];
  test.each(asked)(
    '%s is told 3.0, gets in, and can cancel with a key of 4 bytes',
    async (_, version, names, answer) => {
      await using started = await proxy('sales', '--tunnel', '--db-user=analyst');
      const options = names.map((name): [string, string] => [name, 'on']);
      const parameters: [string, string][] = [['user', 'analyst'], ['database', 'dev'], ...options];
      const { client, hello, end } = await enter(started.port, parameters, version);
      expect(hello[0]!.bytes.toString('hex')).toBe(answer.replaceAll(' ', ''));
      expect(hello[1]!.tag).toBe('R');
      const key = hello.find(({ tag }) => tag === 'K')!.body;
      expect(key).toHaveLength(8);
      // What is for this hop only does not go on.
      expect(Object.keys(world.redshift.logins[0]!.parameters)).toEqual(['user', 'database']);

      await using held = await holdTable(world.postgres);
      client.socket.write(query(held.sql));
      await held.awaited();
      const canceller = await rawClient({ host: '127.0.0.1', port: started.port });
      canceller.socket.end(Buffer.concat([Buffer.from('0000001004d2162e', 'hex'), key]));
      expect(await canceller.rest()).toEqual([]);
      const failed = (await client.until('Z')).find(({ tag }) => tag === 'E');
      expect(errorFields(failed!)).toMatchObject({ C: '57014' });
      end();
    },
  );
});

describe('F9 the end of tsh proxy db', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('by %s is told to every client, at once', async (signal) => {
    const started = await proxy('sales', '--tunnel', '--db-user=analyst');
    const parameters: [string, string][] = [
      ['user', 'analyst'],
      ['database', 'dev'],
    ];
    const [idle, busy] = [await enter(started.port, parameters), await enter(started.port, parameters)];
    const connected = await rawClient({ host: '127.0.0.1', port: started.port });
    await using held = await holdTable(world.postgres);
    busy.client.socket.write(query(held.sql));
    await held.awaited();
    const stopped = started.stop(signal);
    for (const client of [idle.client, busy.client, connected]) {
      const [last, ...more] = await client.rest();
      expect(more).toEqual([]);
      expect(errorFields(last!)).toMatchObject({
        S: 'FATAL',
        V: 'FATAL',
        C: '57P01',
        M: 'terminating connection due to administrator command',
      });
      client.socket.destroy();
    }
    expect(await stopped).toBe(0);
  });
});
