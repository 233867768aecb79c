/** Tests: src/localproxy/socket-folder.ts, src/net/unix-socket.ts. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { isLoopback } from '../../src/ip.js';
import { startLocalProxy } from '../../src/localproxy/listener.js';
import { tellsPeers } from '../../src/localproxy/peer.js';
import { isRoot, NOBODY, Nobody } from '../support/nobody.js';

const echo = async (client: NodeJS.ReadWriteStream) => void client.pipe(client);
let vars: Record<string, string | undefined>;
beforeEach(() => {
  vars = { XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR };
});

function ask(target: { path: string } | { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(target as { path: string }, () => socket.write('hello'));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
  });
}

/** What a `tsh` leaves that is killed: a process listens there and gets no time for anything. */
function abandoned(folder: string, name = '.s.PGSQL.61234') {
  mkdirSync(folder, { mode: 0o700 });
  const path = join(folder, name);
  const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  spawnSync(process.execPath, ['-e', script, path]);
  expect(existsSync(path)).toBe(true);
  return folder;
}

const old = (path: string) => utimesSync(path, 1, 1);

describe('B6 what a killed process left', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'p'));
    vars.XDG_RUNTIME_DIR = parent;
  });
  afterEach(() => rmSync(parent, { recursive: true }));
  const startAndClose = async () => await (await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo })).close();

  test('is removed by a later start', async () => {
    old(abandoned(join(parent, 'tsh-Abc123')));
    await startAndClose();
    expect(readdirSync(parent)).toEqual([]);
  });

  test('stays where somebody listens, or it may not be ours, or it is new', async () => {
    await using live = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    old(live.host);
    abandoned(join(parent, 'tsh-young1'));
    old(abandoned(join(parent, 'tsh-longer1')));
    mkdirSync(join(parent, 'tsh-empty1'), { mode: 0o700 });
    old(join(parent, 'tsh-empty1'));
    const full = abandoned(join(parent, 'tsh-files1'));
    writeFileSync(join(full, 'notes.txt'), 'mine');
    old(full);
    const file = join(parent, 'tsh-plain1');
    mkdirSync(file, { mode: 0o700 });
    writeFileSync(join(file, '.s.PGSQL.61000'), 'no socket');
    old(file);
    const open = abandoned(join(parent, 'tsh-open11'));
    chmodSync(open, 0o755);
    old(open);
    const elsewhere = abandoned(join(parent, 'elsewhere'));
    old(elsewhere);
    symlinkSync(elsewhere, join(parent, 'tsh-linked'));
    const before = readdirSync(parent).sort();
    await startAndClose();
    expect(readdirSync(parent).sort()).toEqual(before);
    expect(await ask({ path: live.address })).toBe('hello');
  });

  test('a process that ends itself removes its folder, and many at once are no warning', async () => {
    const before = process.getMaxListeners();
    const many = await Promise.all(
      Array.from({ length: 15 }, () => startLocalProxy({ at: { kind: 'unix', vars }, serve: echo })),
    );
    expect(process.listenerCount('exit')).toBeLessThanOrEqual(process.getMaxListeners());
    for (const one of many) await one.close();
    expect(process.getMaxListeners()).toBe(before);
    const local = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    (process.listeners('exit').at(-1) as () => void)();
    expect(existsSync(local.host)).toBe(false);
    await local.close();
  });
});

describe('local proxy', () => {
  test('listens on a Unix socket that only its owner can reach, where libpq looks for it', async () => {
    const local = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    const path = join(local.host, `.s.PGSQL.${local.port}`);
    expect(local.address).toBe(path);
    expect(statSync(local.host).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ask({ path })).toBe('hello');
    await local.close();
  });

  test('cuts open connections and removes its folder when closed', async () => {
    const local = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    const client = connect({ path: local.address });
    const gone = new Promise((resolve) => client.once('close', resolve));
    client.on('error', () => {}).resume();
    await new Promise((resolve) => client.once('connect', resolve));
    await local[Symbol.asyncDispose]();
    await gone;
    expect(existsSync(local.host)).toBe(false);
  });

  test('takes the temporary folder where XDG_RUNTIME_DIR cannot be used', async () => {
    vars.XDG_RUNTIME_DIR = '/nowhere/at/all';
    await using missing = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    expect(dirname(missing.host)).toBe(tmpdir());
    const deep = mkdtempSync(join(tmpdir(), 'd'.repeat(90)));
    vars.XDG_RUNTIME_DIR = deep;
    await using short = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    expect(dirname(short.host)).toBe(tmpdir());
    rmSync(deep, { recursive: true });
  });

  test('X13 takes no folder where others could put another one in its place, while there is a better one', async () => {
    const hostile = mkdtempSync(join(tmpdir(), 'h'));
    chmodSync(hostile, 0o777);
    vars.XDG_RUNTIME_DIR = hostile;
    await using local = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    expect(dirname(local.host)).toBe(tmpdir());
    chmodSync(hostile, 0o1777);
    await using sticky = await startLocalProxy({ at: { kind: 'unix', vars }, serve: echo });
    expect(dirname(sticky.host)).toBe(hostile);
    await sticky.close();
    rmSync(hostile, { recursive: true });
  });

  test('listens on loopback TCP and says where', async () => {
    await using local = await startLocalProxy({ at: { kind: 'tcp', host: '127.0.0.1', port: 0 }, serve: echo });
    expect(local.address).toBe(`127.0.0.1:${local.port}`);
    expect(await ask({ host: '127.0.0.1', port: local.port })).toBe('hello');
  });

  test('says that an address is in use as Teleport says it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    const start = startLocalProxy({ at: { kind: 'tcp', host: '127.0.0.1', port }, serve: echo });
    await expect(start).rejects.toThrow(`listen tcp 127.0.0.1:${port}: bind: address already in use`);
    await new Promise((resolve) => other.close(resolve));
  });

  test('survives a connector that fails and closes that client only', async () => {
    const serve = () => Promise.reject(new Error('broken'));
    await using local = await startLocalProxy({ at: { kind: 'unix', vars }, serve });
    const client = connect({ path: local.address });
    client.on('error', () => {}).resume();
    await new Promise((resolve) => client.once('close', resolve));
  });

  test.each([
    ['127.0.0.1', true],
    ['127.8.0.1', true],
    ['localhost', true],
    ['::1', true],
    ['0.0.0.0', false],
    ['127.0.0.1.example.com', false],
    ['192.168.0.1', false],
  ])('%s is loopback: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

function withResolvers() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const canBeNobody = isRoot && tellsPeers(process.platform) ? test : test.skip;

describe('X13 a port for the programs of its owner', () => {
  const at = { kind: 'tcp', host: '127.0.0.1', port: 0, ownOnly: true } as const;
  /** Connects, says `text`, prints what comes until the end. */
  const SCRIPT = `const socket = require('net').connect(Number(process.argv[1]), '127.0.0.1');
    socket.on('data', (data) => process.stdout.write(data)).on('error', (error) => console.log(error.code));
    socket.write(process.argv[2] ?? '');`;

  canBeNobody("another user's program is told so and gets nothing else, ours gets in", async () => {
    const served: unknown[] = [];
    await using local = await startLocalProxy({
      at,
      serve: async (client, options) => {
        served.push(options);
        client.pipe(client);
      },
    });
    using nobody = new Nobody();
    const said = await nobody.runBeside(['-e', SCRIPT, String(local.port), 'hello']);
    expect(said).toContain('this port is for programs of the user who started it, and yours is not');
    expect(said).not.toContain('hello');
    expect(served).toEqual([]);
    expect(await ask({ host: '127.0.0.1', port: local.port })).toBe('hello');
    expect(served).toEqual([{ onlyCancel: false }]);
  });

  canBeNobody('without the check everybody gets in', async () => {
    await using local = await startLocalProxy({
      at: { ...at, ownOnly: false },
      serve: async (client) => void client.end('welcome'),
    });
    using nobody = new Nobody();
    expect(await nobody.runBeside(['-e', SCRIPT, String(local.port)])).toBe('welcome');
  });

  test('what is not known, because the client has hung up, may only cancel', async () => {
    const served: unknown[] = [];
    const { promise: hasServed, resolve } = withResolvers();
    await using local = await startLocalProxy({
      at,
      serve: async (client, options) => {
        served.push(options);
        client.destroy();
        resolve();
      },
    });
    // Both are done before this process gets to accept.
    const script = `const socket = new (require('net').Socket)();
      socket.connect(Number(process.argv[1]), '127.0.0.1', () => socket.end('x', () => process.exit()));`;
    spawnSync(process.execPath, ['-e', script, String(local.port)]);
    await hasServed;
    expect(served).toEqual([{ onlyCancel: tellsPeers(process.platform) }]);
  });
});

describe('X13 a socket in a folder that was named', () => {
  let parent: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'p'));
  });
  afterEach(() => rmSync(parent, { recursive: true }));
  const start = (folder: string, port = 5432) => startLocalProxy({ at: { kind: 'folder', folder, port }, serve: echo });

  test('is made where it is missing, for its owner only, and stays without the socket', async () => {
    const folder = join(parent, 'a', 'b');
    const local = await start(folder, 6000);
    expect([local.host, local.port, local.address]).toEqual([folder, 6000, join(folder, '.s.PGSQL.6000')]);
    expect([statSync(folder).mode & 0o777, statSync(local.address).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(await ask({ path: local.address })).toBe('hello');
    await local.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test('that was there may have other things in it, and the socket of a killed process', async () => {
    const folder = abandoned(join(parent, 'pg'), '.s.PGSQL.5432');
    writeFileSync(join(folder, 'notes'), '');
    await using local = await start(folder);
    expect(await ask({ path: local.address })).toBe('hello');
    await expect(start(folder)).rejects.toThrow('bind: address already in use');
    expect(await ask({ path: local.address })).toBe('hello');
    await using _second = await start(folder, 5433);
  });

  test.each([0o755, 0o750, 0o701, 0o777])('that others can enter is refused: %o', async (mode) => {
    const folder = join(parent, 'pg');
    mkdirSync(folder);
    chmodSync(folder, mode);
    await expect(start(folder)).rejects.toThrow(
      `cannot listen on unix:${folder}: others can enter the folder (mode 0${mode.toString(8)})`,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  (isRoot ? test : test.skip)('that is somebody else\u2019s is refused', async () => {
    const folder = join(parent, 'pg');
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, NOBODY, NOBODY);
    await expect(start(folder)).rejects.toThrow('the folder is not yours');
  });

  test('of two that start at the same moment one has it, and the other says so', async () => {
    const folder = abandoned(join(parent, 'pg'), '.s.PGSQL.5432');
    for (let n = 0; n < 20; n++) {
      const all = await Promise.allSettled([start(folder), start(folder), start(folder)]);
      const [winner, ...more] = all.filter((one) => one.status === 'fulfilled').map((one) => one.value);
      expect([more, all.filter((one) => one.status === 'rejected').map((one) => String(one.reason))]).toEqual([
        [],
        Array(2).fill(`TeleportError: listen unix ${folder}/.s.PGSQL.5432: bind: address already in use`),
      ]);
      expect(await ask({ path: winner!.address })).toBe('hello');
      await winner!.close();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test('one whose socket somebody has removed leaves the next one its own', async () => {
    const folder = join(parent, 'pg');
    const first = await start(folder);
    rmSync(first.address);
    await using second = await start(folder);
    await first.close();
    expect(await ask({ path: second.address })).toBe('hello');
  });

  test('a start that was killed leaves nothing to the next', async () => {
    const folder = abandoned(join(parent, 'pg'), '.tsh-0123ab');
    writeFileSync(join(folder, '.tsh-5432.lock'), `2147483646 ${hostname()} x\n`);
    await using _local = await start(folder);
    expect(readdirSync(folder)).toEqual(['.s.PGSQL.5432']);
  });

  test.each<[string, (path: string) => void]>([
    ['a file', (path) => writeFileSync(path, 'mine')],
    ['a link', (path) => symlinkSync(join(parent, 'elsewhere'), path)],
    ['a folder', (path) => mkdirSync(path)],
  ])('%s in the place of the socket stays', async (_, plant) => {
    const folder = join(parent, 'pg');
    mkdirSync(folder, { mode: 0o700 });
    const path = join(folder, '.s.PGSQL.5432');
    plant(path);
    await expect(start(folder)).rejects.toMatchObject({
      message: `cannot listen on ${path}: something else is there`,
      hint: `Move it away: mv ${path} ${path}.old`,
    });
    expect(readdirSync(parent)).toEqual(['pg']);
  });

  test('in the place of which others can put another one is refused; a link of ones own is as good as the folder', async () => {
    const shared = join(parent, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const folder = join(shared, 'a', 'pg');
    await expect(start(folder)).rejects.toThrow(
      `cannot listen on unix:${folder}: others can put another folder in its place, by ${shared}`,
    );
    expect(readdirSync(folder)).toEqual([]);
    const link = join(parent, 'link');
    symlinkSync(folder, link);
    await expect(start(link)).rejects.toThrow(`by ${shared}`);
    chmodSync(shared, 0o1777);
    await using local = await start(link);
    expect(await ask({ path: local.address })).toBe('hello');
  });

  (isRoot ? test : test.skip)('to which another user\u2019s link leads is refused', async () => {
    const [tmp, own] = [join(parent, 'tmp'), join(parent, 'own')];
    mkdirSync(tmp);
    chmodSync(tmp, 0o1777);
    mkdirSync(own, { mode: 0o700 });
    symlinkSync(own, join(tmp, 'pg'));
    lchownSync(join(tmp, 'pg'), NOBODY, NOBODY);
    await expect(start(join(tmp, 'pg'))).rejects.toThrow(`in its place, by ${tmp}/pg`);
    expect(readdirSync(own)).toEqual([]);
  });

  test('that is a file, or whose name is too long, is refused', async () => {
    writeFileSync(join(parent, 'file'), '');
    await expect(start(join(parent, 'file'))).rejects.toThrow(`cannot listen on unix:${parent}/file: EEXIST`);
    await expect(start(join(parent, 'x'.repeat(100)))).rejects.toThrow('is longer than 103 bytes');
  });
});
