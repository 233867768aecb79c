/** N9: the children of several keychains in one process add one listener to it. */
import { keytarInChild } from '../../src/profile/keychain-process.js';

test('N9 the children of several keychains end with the process by one listener, which goes with the last of them', async () => {
  const before = process.listenerCount('exit');
  const several = Array.from({ length: 3 }, () =>
    keytarInChild({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' }),
  );
  const asked = several.map(({ keytar }) => keytar.getPassword('teleshift-test', 'nobody'));
  expect(process.listenerCount('exit')).toBe(before + 1);
  await Promise.allSettled(asked);
  for (const { abandon } of several) abandon();
  expect(process.listenerCount('exit')).toBe(before);
});

test('H8 a child that is given up before it runs is ended when it does', async () => {
  const { keytar, abandon } = keytarInChild({});
  const asked = keytar.getPassword('teleshift-test', 'nobody');
  abandon();
  await expect(asked).rejects.toThrow('its helper process ended with SIGKILL');
});
