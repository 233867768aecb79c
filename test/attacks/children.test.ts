/**
 * What the programs that ours start get of us, looked at from outside while they run: their descriptors, environment, command
 * line, folder, umask and signals. Built programs as processes, a cluster in this one.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;
/** None of them may be needed, and all of them are in the environment of ours. */
const SECRETS = {
  AWS_ACCESS_KEY_ID: 'AKIA-secret-of-aws',
  AWS_SECRET_ACCESS_KEY: 'secret-of-aws',
  AWS_SESSION_TOKEN: 'secret-of-aws',
  AWS_CONTAINER_AUTHORIZATION_TOKEN: 'secret-of-aws',
  PGPASSWORD: 'secret-of-libpq',
  TELEPORT_TOKEN: 'secret-of-teleport',
};
/** Descriptors that whoever started the tests has left open for all below: not ours. */
const inherited = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!;
      // O_CLOEXEC of Linux, fcntl.h.
      return Number(fd) > 2 && (Number.parseInt(flags, 8) & 0o2000000) === 0;
    } catch {
      return false; // that of this list itself
    }
  });
const UMASK = '0027';

interface Seen {
  /** Number → what is open there; the script that the shell reads left out. */
  descriptors: Record<string, string>;
  environment: string;
  commandLine: string;
  folder: string;
  umask: string;
  /** Masks of signals that it does not get. */
  ignored: string;
  blocked: string;
}

onLinux('X13 what children inherit', () => {
  let cluster: TestCluster;
  let bin: string;
  beforeAll(async () => {
    cluster = await startTestCluster({
      postgres: true,
      roles: [roleResource('analyst', { db_users: ['postgres'], db_names: ['postgres'] })],
      users: [{ name: 'alice', roles: ['analyst'] }],
    });
    const spec = { protocol: 'postgres', uri: `localhost:${cluster.databases!.postgres.port}` };
    await cluster.create({ kind: 'db', version: 'v3', metadata: { name: 'one' }, spec });
    await cluster.login('alice', 'alice');
    await cluster.untilListed('alice', ['one']);
    bin = join(cluster.dir, 'bin');
    mkdirSync(bin);
    execFileSync('mkfifo', [join(bin, 'hold')]);
    // It says its number and stays until somebody opens the pipe. A shell that starts a program blocks signals for a moment, so it starts none.
    const script = `#!/bin/sh\necho $$ > ${bin}/pid\nread _ < ${bin}/hold\nexit 0\n`;
    for (const name of ['psql', 'helper']) {
      writeFileSync(join(bin, name), script);
      chmodSync(join(bin, name), 0o755);
    }
    mkdirSync(join(cluster.dir, 'alice', '.tsh', 'config'), { recursive: true });
    writeFileSync(
      join(cluster.dir, 'alice', '.tsh', 'config', 'config.yaml'),
      `aliases:\n  help-me: ${join(bin, 'helper')} now\n`,
    );
  });
  afterAll(() => cluster?.stop());

  /** The child that one of our programs starts. */
  async function childOf(program: 'tsh' | 'tctl', ...args: string[]): Promise<Seen> {
    const command = [process.execPath, resolve('dist', `${program}.js`), ...args];
    const child = spawn('/bin/sh', ['-c', `umask ${UMASK}; exec "$@"`, 'sh', ...command], {
      cwd: cluster.dir,
      env: {
        ...cluster.envOf('alice').vars,
        NODE_REDIRECT_WARNINGS: process.env.NODE_REDIRECT_WARNINGS,
        PATH: `${bin}:${process.env.PATH}`,
        EDITOR: join(bin, 'helper'),
        ...SECRETS,
      } as Record<string, string>,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    const ended = once(child, 'close');
    const pid = await until('the child runs', async () => {
      if (child.exitCode !== null) throw new Error(said);
      const number = existsSync(join(bin, 'pid')) ? readFileSync(join(bin, 'pid'), 'utf8') : '';
      return number.endsWith('\n') ? number.trim() : undefined;
    });
    try {
      return look(pid);
    } finally {
      execFileSync('rm', [join(bin, 'pid')]);
      execFileSync('sh', ['-c', `echo > ${bin}/hold`]);
      await ended;
    }
  }

  function look(pid: string): Seen {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    const left = inherited();
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)] as const);
    const status = (name: string) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(read('status'))![1]!;
    return {
      descriptors: Object.fromEntries(open.filter(([fd, path]) => !path.startsWith(bin) && !left.includes(fd))),
      environment: read('environ').replaceAll('\0', '\n'),
      commandLine: read('cmdline').replaceAll('\0', ' '),
      folder: readlinkSync(`/proc/${pid}/cwd`),
      umask: status('Umask'),
      ignored: status('SigIgn'),
      blocked: status('SigBlk'),
    };
  }

  const ROUTE = ['--db-user=postgres', '--db-name=postgres'];
  const CHILDREN: Record<string, { of: () => Promise<Seen>; isOwn?: boolean }> = {
    'psql of db connect': { of: () => childOf('tsh', 'db', 'connect', 'one', ...ROUTE) },
    'psql of db exec': { of: () => childOf('tsh', 'db', 'exec', 'select 1', '--dbs=one', ...ROUTE) },
    'the program of an alias': { of: () => childOf('tsh', 'help-me'), isOwn: true },
    'the editor of tctl edit': {
      of: () => childOf('tctl', '-c', cluster.configFile, 'edit', 'role/analyst'),
      isOwn: true,
    },
  };

  test.each(Object.entries(CHILDREN))('%s', async (_, { of, isOwn = false }) => {
    const seen = await of();
    expect(Object.keys(seen.descriptors)).toEqual(['0', '1', '2']);
    expect(seen.commandLine).not.toMatch(/secret-of|PRIVATE KEY|password/);
    expect([seen.folder, seen.umask, seen.ignored, seen.blocked]).toEqual([
      cluster.dir,
      UMASK,
      '0000000000000000',
      '0000000000000000',
    ]);
    // An editor and the program of an alias are the person's own, as from a shell.
    if (isOwn) expect(seen.environment).toContain('secret-of-aws');
    else expect(seen.environment).not.toMatch(/secret-of|PRIVATE KEY|TELEPORT_\w*TOKEN/);
  });
});
