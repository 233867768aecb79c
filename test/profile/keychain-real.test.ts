/** The keychain as a real Secret Service answers, and as it does not. Needs gnome-keyring and dbus; built programs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeychain } from '../../src/profile/keychain.js';
import { keychainSecrets } from '../../src/profile/keychain-secrets.js';
import { missingForKeytar, startBus, startSecretService, withService } from '../support/secret-service.js';

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

withService('a locked keyring that nobody can unlock is refused with the reason', async () => {
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
  } finally {
    await service.stop();
    await rm(base, { recursive: true, force: true });
  }
});

withService('a bus without a Secret Service is refused with the reason', async () => {
  const bus = await startBus();
  try {
    await expect(openKeychain({ vars: bus.vars }).get('a')).rejects.toMatchObject({
      message: 'the system keychain cannot be read: no Secret Service answers on the D-Bus session bus',
      hint: expect.stringContaining('gnome-keyring'),
    });
  } finally {
    await bus.stop();
  }
});

withKeytar('no bus at all is refused with the reason', async () => {
  const vars = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(tmpdir(), 'no-such-bus')}` };
  await expect(openKeychain({ vars }).set('a', 'b')).rejects.toMatchObject({
    message: 'the system keychain cannot be written: there is no D-Bus session bus',
  });
});

withKeytar(
  'a bus that takes connections and never answers is given up, and so is the process that waits for it',
  async () => {
    const path = join(tmpdir(), `mute-bus-${process.pid}`);
    const connections: { destroyed: boolean; once(event: 'close', listener: () => void): unknown }[] = [];
    const server: Server = createServer((socket) => void connections.push(socket.on('error', () => {}).resume()));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const keychain = openKeychain({ vars: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` }, timeoutMs: 1_500 });
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
    expect(await readdir(home)).toEqual(['bus']);
  } finally {
    await new Promise((resolve) => server.close(resolve));
    await rm(home, { recursive: true });
  }
});
