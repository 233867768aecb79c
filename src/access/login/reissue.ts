/**
 * New certificates for the keys of a login: for another cluster, or with access requests taken up or given back.
 * Source: auth-grpc-and-routing.md 3.1 and 3.4 (usage All).
 */
import { timestampFromDate } from '../../api/protobuf.js';
import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { TeleportError } from '../../errors.js';
import { publicKeyPem, readPrivateKey } from '../../pki/keys.js';
import { type LoginSession, sessionOf, usableKeys } from '../../profile/session.js';
import { connectRoot } from './client.js';

export interface RequestsChange {
  /** Access requests to take up, beside those that the login has. */
  add?: readonly string[];
  /** Access requests to give back; `*` is all of them. */
  drop?: readonly string[];
}

export interface ReissueOptions extends RequestsChange {
  insecure: boolean;
  /** Cluster that the certificates are for. */
  cluster: string;
  certFormat?: string | undefined;
}

/**
 * Fetch and store them. Where the access requests change, certificates for databases and other clusters go: they carry the
 * old roles.
 *
 * @throws with the server's text, such as `remote cluster "x" is not found`
 */
export async function reissueLogin(env: Env, session: LoginSession, options: ReissueOptions): Promise<LoginSession> {
  const { store, name, user, profile } = session;
  const { cluster, add = [], drop = [] } = options;
  const keys = await usableKeys(session, env.now());
  const kept = session.facts!.activeRequests.filter((id) => !drop.includes('*') && !drop.includes(id));
  await using client = await connectRoot(env, session, options.insecure);
  const call = client.root.auth.generateUserCerts({
    username: user,
    expires: timestampFromDate(session.facts!.tlsExpiresAt),
    format: options.certFormat ?? '',
    routeToCluster: cluster,
    accessRequests: [...add, ...kept.filter((id) => !add.includes(id))],
    dropAccessRequests: [...drop],
    routeToDatabase: {},
    routeToApp: {},
    routeToWindowsDesktop: {},
    sshPublicKey: Buffer.from(`${keys.sshPublicKey}\n`),
    tlsPublicKey: Buffer.from(publicKeyPem(readPrivateKey(keys.tlsKeyPem))),
  });
  const certs = await waitingFor(env, `certificates for ${cluster}`, call);
  if (certs.tls.length === 0 || certs.ssh.length === 0) {
    throw new TeleportError('Protocol', 'the cluster answered without certificates');
  }
  if (add.length > 0 || drop.length > 0) await store.deleteIssued(name, user, cluster);
  await store.saveKeys(name, user, cluster, {
    ...keys,
    tlsCertPem: Buffer.from(certs.tls).toString('utf8'),
    sshCert: Buffer.from(certs.ssh).toString('utf8').trim(),
  });
  return await sessionOf(store, name, profile, cluster);
}
