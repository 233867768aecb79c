/** L2: a lock that comes while a call is being looked at. Tests: src/auth/open-connections.ts */
import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Caller } from '../../src/api/caller.js';
import { OpenConnections } from '../../src/auth/open-connections.js';
import { type AuthState, recordsIn } from '../../src/auth/state.js';
import { whoCalls } from '../../src/auth/who.js';
import { bearerOf } from '../../src/identity/bearer.js';
import { silent } from '../../src/log.js';
import { certificateDer } from '../../src/pki/certificate.js';
import type { Lock } from '../../src/resources/types.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import { CLUSTER, makeAuthorities } from '../proxy/test-proxy.js';

test('L2 ends the connection, although it was let through', async () => {
  const made = makeAuthorities();
  const trust = { hostCas: [made.hostCa.certPem], userCas: [], clusterName: CLUSTER, now: new Date() };
  const bearer = bearerOf(certificateDer(made.host('Db', 'db-host').certPem), trust);
  const store = await openEmbeddedStore({ path: ':memory:' });
  const records = recordsIn(store);
  /** The look of the call has read the locks, and goes on when `let` is called. */
  let hasRead = () => {};
  let letOn = () => {};
  const read = new Promise<void>((resolve) => (hasRead = resolve));
  const go = new Promise<void>((resolve) => (letOn = resolve));
  let looks = 0;
  const locks = {
    ...records.locks,
    async list() {
      const found = await records.locks.list();
      if (looks++ > 0) return found;
      hasRead();
      await go;
      return found;
    },
  };
  const authorities = {
    trusted: (type: string) => (type === 'host' ? trust.hostCas : []),
    onChange: () => ({ [Symbol.dispose]() {} }),
    remotes: { trusts: [] },
  };
  const roots = { onUserChanged: authorities.onChange };
  const rest = { roots, now: () => new Date(), log: silent, clusterName: CLUSTER, authorities };
  const state = { store, ...records, locks, ...rest } as unknown as AuthState;
  const connections = new OpenConnections(state);
  const socket = new PassThrough();
  try {
    const caller: Caller = { bearer, remoteAddr: '127.0.0.1:1' };
    const ended = new Promise<void>((resolve) => connections.keep(caller, socket, resolve));
    const call = whoCalls(state, caller);
    await read;
    await records.locks.create({
      kind: 'lock',
      version: 'v2',
      metadata: { name: 'l' },
      spec: { target: { server_id: 'db-host' } },
    } as Lock);
    await ended;
    letOn();
    expect(await call).toMatchObject({ kind: 'host' });
  } finally {
    letOn();
    socket.destroy();
    await connections.close();
    await store.close();
  }
});
