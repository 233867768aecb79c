/** Lists of a cluster: every page and message is taken, and one that does not end is an error. */
import { expect, test } from '@jest/globals';
import { collected, listDatabases, remoteClusters } from '../../../src/access/cluster/calls.js';
import type { AuthClient } from '../../../src/api/client.js';

/** A server that always knows of one more page. */
function endless(): { auth: AuthClient; calls: () => number } {
  let calls = 0;
  const page = async () => {
    calls++;
    return {
      resources: [{ resource: { case: 'other' } }],
      nextKey: `k${calls}`,
      remoteClusters: [],
      nextPageToken: 't',
    };
  };
  return {
    auth: { auth: { listResources: page }, presence: { listRemoteClusters: page } } as unknown as AuthClient,
    calls: () => calls,
  };
}

test.each([
  ['databases', listDatabases],
  ['clusters', remoteClusters],
])(
  'a list of %s without end is given up',
  async (what, list: (auth: AuthClient, filter: object) => Promise<unknown>) => {
    const { auth, calls } = endless();
    await expect(list(auth, {})).rejects.toMatchObject({
      code: 'LimitExceeded',
      message: `the cluster's list of ${what} does not end`,
    });
    expect(calls()).toBe(1000);
  },
);

test('a stream is taken as a whole; one without end is given up', async () => {
  async function* count(end: number) {
    for (let i = 0; i < end; i++) yield i;
  }
  expect(await collected(count(3), 'roles')).toEqual([0, 1, 2]);
  await expect(collected(count(Number.POSITIVE_INFINITY), 'roles')).rejects.toMatchObject({ code: 'LimitExceeded' });
});
