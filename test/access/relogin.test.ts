/** What a person is told when a login does not work where they are. */
import { withRelogin } from '../../src/access/relogin.js';
import { TeleportError } from '../../src/errors.js';
import type { Session } from '../../src/profile/session.js';
import { memoryEnv } from '../support/env.js';

test('a login that is bound to an address says which, and what to do', async () => {
  const session = { facts: { pinnedIp: '203.0.113.7' } } as unknown as Session;
  const refused = withRelogin(memoryEnv(), {}, session, async () => {
    throw new TeleportError('AccessDenied', "pinned IP doesn't match observed client IP");
  });
  await expect(refused).rejects.toMatchObject({
    message: "pinned IP doesn't match observed client IP",
    hint: 'Your login is good from 203.0.113.7 only. To use it from here: "tsh logout", then "tsh login" again.',
  });
});
