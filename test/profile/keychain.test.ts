import { type KeytarModule, openKeychain } from '../../src/profile/keychain.js';

function fakeKeytar(): KeytarModule {
  const kept = new Map<string, string>();
  return {
    getPassword: async (_service, account) => kept.get(account) ?? null,
    setPassword: async (_service, account, password) => void kept.set(account, password),
    deletePassword: async (_service, account) => kept.delete(account),
    findCredentials: async () => [...kept].map(([account, password]) => ({ account, password })),
  };
}

test('get, set, list and delete through keytar', async () => {
  const keychain = openKeychain({ load: async () => fakeKeytar() });
  await keychain.set('a', 's3cret');
  expect(await keychain.get('a')).toBe('s3cret');
  expect(await keychain.get('b')).toBeUndefined();
  expect(await keychain.list()).toEqual(['a']);
  expect([await keychain.delete('a'), await keychain.delete('a')]).toEqual([true, false]);
});

test('a keychain that is missing or hangs is an error with advice, and nothing else', async () => {
  const missing = openKeychain({ load: () => Promise.reject(new Error('libsecret not found')) });
  await expect(missing.get('a')).rejects.toMatchObject({ code: 'AccessDenied', hint: expect.stringContaining('file') });
  const hanging = openKeychain({ load: () => new Promise(() => {}), timeoutMs: 10 });
  await expect(hanging.set('a', 'b')).rejects.toMatchObject({ code: 'AccessDenied' });
});
