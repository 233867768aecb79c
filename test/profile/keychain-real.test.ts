/**
 * The keychain as a real Secret Service answers, and as it does not. Needs gnome-keyring and dbus; built programs.
 * Tests: src/profile/keychain-refusal.ts
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TeleportError } from '../../src/errors.js';
import { openKeychain } from '../../src/profile/keychain.js';
import { keychainRefusal } from '../../src/profile/keychain-refusal.js';
import { keychainSecrets } from '../../src/profile/keychain-secrets.js';
import { isRoot, Nobody } from '../support/nobody.js';
import {
  type Bus,
  missingForKeytar,
  PASSWORD,
  startBus,
  startSecretService,
  withoutService,
  withService,
} from '../support/secret-service.js';

const withKeytar = missingForKeytar() ? test.skip : test;

withService('a real Secret Service keeps entries between processes, 64 KiB too, and forgets them', async () => {
  const service = await startSecretService();
  try {
    const open = () => openKeychain({ vars: service.vars });
    const long = 'x'.repeat(65_536);
    await open().set('/a/b', 'one');
    await open().set('/a/ü', long);
    expect(await open().get('/a/b')).toBe('one');
    expect((await open().get('/a/ü')) === long).toBe(true);
    expect((await open().list()).sort()).toEqual(['/a/b', '/a/ü']);
    expect([await open().delete('/a/b'), await open().delete('/a/b')]).toEqual([true, false]);
    expect(await service.keychain.list()).toEqual(['/a/ü']);
  } finally {
    await service.stop();
  }
});

describe('S11 a keychain that refuses', () => {
  /** What the hint says to type, as it is typed. */
  const unlockCommand = (hint: string | undefined) =>
    /read -rs p .*--components=secrets/.exec(hint ?? '')?.[0] ?? 'false';
  const refusalOf = async (call: Promise<unknown>) =>
    await call.then(
      () => Promise.reject(new Error('it was not refused')),
      (error: TeleportError) => error,
    );

  withService('locked: each call says so, nothing crashes, and the command of the hint unlocks it', async () => {
    const service = await startSecretService();
    const base = await mkdtemp(join(tmpdir(), 'locked-'));
    try {
      const open = () => keychainSecrets(base, openKeychain({ vars: service.vars }));
      await open().set('keys/p/alice.key', 'one');
      await service.lock();
      // keytar says the same of an entry that is locked and of none; nobody must be told that a key is gone.
      for (const call of [open().get, open().delete, open().list, open().check]) {
        await expect(call('keys/p/alice.key')).rejects.toMatchObject({
          code: 'AccessDenied',
          message: 'the system keychain cannot be written: it is locked',
        });
      }
      // Locked between two calls: keytar's own process ends, ours does not.
      const listed = await refusalOf(openKeychain({ vars: service.vars }).list());
      expect(listed.message).toBe('the system keychain cannot be read: it broke off (keytar ended with SIGSEGV)');
      const { hint } = await refusalOf(open().check());
      expect(unlockCommand(listed.hint)).toBe(unlockCommand(hint));
      type(unlockCommand(hint), service);
      expect(await open().get('keys/p/alice.key')).toBe('one');
    } finally {
      await service.stop();
      await rm(base, { recursive: true, force: true });
    }
  });

  withService('never set up: the command of the hint makes the keyring', async () => {
    const service = await startSecretService({ isNew: true });
    try {
      const open = () => openKeychain({ vars: service.vars });
      const { message, hint } = await refusalOf(open().set('a', 'b'));
      expect(message).toBe('the system keychain cannot be written: there is no keyring in it yet');
      type(unlockCommand(hint), service);
      await open().set('a', 'b');
      expect(await open().get('a')).toBe('b');
    } finally {
      await service.stop();
    }
  });

  withService('a bus without a Secret Service: the command of the hint starts one', async () => {
    const bus = await startBus();
    try {
      const { message, hint } = await refusalOf(openKeychain({ vars: bus.vars }).get('a'));
      expect(message).toBe('the system keychain cannot be read: no Secret Service answers on the D-Bus session bus');
      expect(hint).toContain('apt install gnome-keyring');
      type(unlockCommand(hint), bus);
      await openKeychain({ vars: bus.vars }).set('a', 'b');
    } finally {
      await bus.stop();
    }
  });

  (isRoot && !withoutService ? test : test.skip)('the bus of another user', async () => {
    const bus = await startBus();
    const dir = bus.vars.XDG_RUNTIME_DIR!;
    using nobody = new Nobody();
    cpSync('node_modules/keytar', join(nobody.folder, 'node_modules/keytar'), { recursive: true });
    const asked =
      "import('keytar').then((k)=>k.default.getPassword('a','b')).catch((e)=>console.log(e.message)).then(()=>process.exit())";
    try {
      for (const mode of [0o755, 0o700]) {
        chmodSync(dir, mode);
        const text = nobody.run(['-e', asked], bus.vars).stdout.trim();
        expect(keychainRefusal('read', new Error(text), 'linux')).toMatchObject({
          message: expect.stringContaining('the D-Bus session bus is that of another user'),
          hint: expect.stringContaining('without sudo'),
        });
      }
    } finally {
      await bus.stop();
    }
  });

  withKeytar.each<[string, Record<string, string>]>([
    ['no variable', {}],
    ['a display and no dbus-launch', { DISPLAY: ':9', PATH: '/nowhere' }],
    ['an address where nothing is', { DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(tmpdir(), 'no-such-bus')}` }],
    ['a port where nothing is', { DBUS_SESSION_BUS_ADDRESS: 'tcp:host=localhost,port=1' }],
    ['an address that is none', { DBUS_SESSION_BUS_ADDRESS: 'nowhere' }],
    ['an empty address', { DBUS_SESSION_BUS_ADDRESS: '' }],
    ['a folder without a bus', { XDG_RUNTIME_DIR: tmpdir() }],
  ])('no bus: %s', async (_what, vars) => {
    const { message, hint } = await refusalOf(openKeychain({ vars }).set('a', 'b'));
    expect(message).toBe('the system keychain cannot be written: there is no D-Bus session bus');
    expect(hint).toContain('dbus-run-session -- bash -c');
  });
});

/** Type a command, and the password that it asks for, on this bus. */
function type(command: string, { vars }: Bus): void {
  const env = { PATH: process.env.PATH, HOME: join(vars.XDG_RUNTIME_DIR!, 'home'), ...vars };
  const { status } = spawnSync('bash', ['-c', command], {
    env,
    input: `${PASSWORD}\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  expect(status).toBe(0);
}

withKeytar(
  'a bus that takes connections and never answers is given up, and so is the process that waits for it',
  async () => {
    const path = join(tmpdir(), `mute-bus-${process.pid}`);
    const connections: { destroyed: boolean; once(event: 'close', listener: () => void): unknown }[] = [];
    const server: Server = createServer((socket) => void connections.push(socket.on('error', () => {}).resume()));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const keychain = openKeychain({ vars: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` }, timeoutMs: 6_000 });
      await expect(keychain.get('a')).rejects.toMatchObject({
        message: 'the system keychain cannot be read: it does not answer',
        hint: expect.stringContaining('unlock'),
      });
      const [waiting] = connections;
      if (!waiting!.destroyed) await new Promise<void>((resolve) => waiting!.once('close', resolve));
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

withKeytar('Ctrl-C ends tsh while the keychain is waited for, before anything was asked', async () => {
  const home = await mkdtemp(join(tmpdir(), 'mute-'));
  const path = join(home, 'bus');
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const asked = once(server, 'connection');
    const tsh = spawn(
      process.execPath,
      ['dist/tsh.js', 'login', '--proxy=localhost:1', '--user=alice', '--credential-store=keychain'],
      { env: { HOME: home, DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const said = Promise.all([tsh.stdout.toArray(), tsh.stderr.toArray()]);
    const ended = once(tsh, 'exit');
    await asked;
    tsh.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    expect((await said).flat().join('')).not.toMatch(/password|localhost:1/);
    expect((await readdir(home)).sort()).toEqual(['.cache', 'bus']);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await rm(home, { recursive: true });
  }
});
