/** Tests: src/profile/keytar.ts. */
import { openKeychain } from '../../src/profile/keychain.js';
import type { KeytarModule } from '../../src/profile/keytar.js';
import { fakeKeytar } from '../support/fake-keytar.js';

test('get, set, list and delete through keytar', async () => {
  const keychain = openKeychain({ vars: {}, open: async () => fakeKeytar() });
  await keychain.set('a', 's3cret');
  expect(await keychain.get('a')).toBe('s3cret');
  expect(await keychain.get('b')).toBeUndefined();
  expect(await keychain.list()).toEqual(['a']);
  expect([await keychain.delete('a'), await keychain.delete('a')]).toEqual([true, false]);
});

test.each([
  ['Cannot autolaunch D-Bus without X11 $DISPLAY', 'there is no D-Bus session bus'],
  ['The given address is empty', 'there is no D-Bus session bus'],
  ['The name org.freedesktop.secrets was not provided by any .service files', 'no Secret Service answers'],
  ['libsecret-1.so.0: cannot open shared object file: No such file or directory', 'the library libsecret is missing'],
  // What musl says (Alpine): ldso/dynlink.c.
  [
    'Error loading shared library libsecret-1.so.0: No such file or directory (needed by /x/keytar.node)',
    'the library libsecret is missing (libsecret-1.so.0)',
  ],
  [
    'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /x/keytar.node)',
    'the binary of keytar is for another kind of Linux: it needs ld-linux-x86-64.so.2',
  ],
  // What macOS and Windows say.
  [
    "dlopen(/x/keytar.node, 0x0001): tried: '/x/keytar.node' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))",
    'the binary of keytar does not fit this system: mach-o file',
  ],
  ['\\\\?\\C:\\x\\keytar.node is not a valid Win32 application.', 'the binary of keytar does not fit this system'],
  ["Cannot find package 'keytar' imported from /x/y.js", 'keytar is not installed'],
  ['Cannot create an item in a locked collection', 'it is locked'],
])('S11 a keychain that says "%s" is refused with the reason "%s"', async (text, reason) => {
  const broken = { ...fakeKeytar().keytar, setPassword: () => Promise.reject(new Error(text)) };
  const keychain = openKeychain({
    vars: {},
    open: async () => ({ keytar: broken, abandon: () => {} }),
    platform: 'linux',
  });
  await expect(keychain.set('a', 'b')).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringContaining(`the system keychain cannot be written: ${reason}`),
    hint: expect.stringContaining('--credential-store=file'),
  });
});

test('a keychain that hangs is given up after the time limit, and the next call begins anew', async () => {
  let opened = 0;
  let abandoned = 0;
  const mute = { ...fakeKeytar().keytar, getPassword: () => new Promise<never>(() => {}) } satisfies KeytarModule;
  const keychain = openKeychain({
    vars: {},
    timeoutMs: 10,
    open: async () => {
      opened++;
      return { keytar: mute, abandon: () => void abandoned++ };
    },
  });
  await expect(keychain.get('a')).rejects.toMatchObject({ message: expect.stringContaining('it does not answer') });
  await expect(keychain.get('a')).rejects.toMatchObject({ code: 'AccessDenied' });
  expect([opened, abandoned]).toEqual([2, 2]);
});

test('an entry that another process deletes meanwhile is asked for again', async () => {
  const { keytar, abandon } = fakeKeytar();
  const texts = [
    'No such interface “org.freedesktop.Secret.Item” on object at path /org/freedesktop/secrets/collection/login/2',
    'Object does not exist at path “/org/freedesktop/secrets/collection/login/2”',
  ];
  const busy: KeytarModule = {
    ...keytar,
    getPassword: async () => {
      const text = texts.shift();
      if (text) throw new Error(text);
      return 'one';
    },
  };
  const keychain = openKeychain({ vars: {}, open: async () => ({ keytar: busy, abandon }) });
  expect(await keychain.get('a')).toBe('one');
});

test('Ctrl-C gives up a call that is waiting', async () => {
  const stop = new AbortController();
  let abandoned = 0;
  const mute = { ...fakeKeytar().keytar, getPassword: () => new Promise<never>(() => {}) } satisfies KeytarModule;
  const keychain = openKeychain({
    vars: {},
    signal: stop.signal,
    open: async () => ({ keytar: mute, abandon: () => void abandoned++ }),
  });
  const reading = keychain.get('a');
  stop.abort(new Error('stopped by SIGINT'));
  await expect(reading).rejects.toThrow('stopped by SIGINT');
  expect(abandoned).toBe(1);
});

test('a secret longer than an entry may be is refused by size, and nothing is written', async () => {
  const { keytar, abandon } = fakeKeytar();
  const keychain = openKeychain({ vars: {}, platform: 'win32', open: async () => ({ keytar, abandon }) });
  await keychain.set('a', 'x'.repeat(2560));
  await expect(keychain.set('b', 'x'.repeat(2561))).rejects.toMatchObject({
    code: 'LimitExceeded',
    message: 'a keychain entry holds 2560 bytes, b needs 2561',
  });
  expect(await keychain.list()).toEqual(['a']);
});
