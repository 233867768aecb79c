/**
 * Who a service of this process is in the cluster: named by the Auth Service of the same process, by the identity that
 * was stored when the host joined, or by joining now. Token and CA pins are read only to join; their files may be gone
 * afterwards.
 */
import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { AuthRoute, HostIdentity } from '../api/host-identity.js';
import type { AuthService } from '../auth/service.js';
import { certificateProblem } from '../certificate-problem.js';
import { type ErrorCode, isTeleportError, messageOf, systemReason, TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { joinHostPort } from '../host-port.js';
import { readCertificate } from '../pki/x509.js';
import type { SystemRole } from '../resources/system-role.js';
import { VERSION } from '../version.js';
import type { TeleportConfig } from './config.js';
import { identityFile, readIdentity, saveIdentity } from './host-files.js';

export interface Membership {
  config: TeleportConfig;
  /** Of this process, when it runs one. */
  auth: AuthService | undefined;
  hostId: string;
  now: () => Date;
  /** Environment. */
  vars: Record<string, string | undefined>;
}

/** @throws TeleportError with the next step when there is neither an identity nor a way to get one */
export async function identityFor(
  { config, auth, hostId, now, vars }: Membership,
  role: SystemRole,
  principals: string[],
): Promise<HostIdentity> {
  if (auth)
    return await auth.issueHostIdentity({
      role,
      nodename: config.nodename,
      additionalPrincipals: principals,
      dnsNames: [],
    });
  const known = await readIdentity(config.dataDir, role);
  const endedAt = known && readCertificate(known.certPem).notAfter;
  if (known && endedAt! > now()) return known;
  if (endedAt && !config.token) throw wasAway(endedAt, role);
  const token = await joinToken(config.token, role);
  const caPins = await readPins(config.caPins);
  const route = joinRoute(config, role, vars);
  const { joinCluster } = await import('../webapi/join.js');
  const identity = await joinCluster({
    route,
    version: VERSION,
    token,
    ...(config.joinMethod === 'iam' ? { prove: await proverOf() } : {}),
    role,
    hostId,
    nodename: config.nodename,
    additionalPrincipals: principals,
    caPins,
    insecure: config.insecure,
  }).catch((cause: unknown) => {
    const code: ErrorCode = isTeleportError(cause) ? cause.code : 'ConnectionProblem';
    throw new TeleportError(code, `joining the cluster failed: ${messageOf(cause)}`, {
      cause,
      hint: joinHint(cause, route, role),
    });
  });
  await saveIdentity(config.dataDir, identity);
  return identity;
}

async function proverOf() {
  const { identityProof } = await import('../aws/identity-proof.js');
  return identityProof;
}

function wasAway(endedAt: Date, role: SystemRole): TeleportError {
  return new TeleportError(
    'AccessDenied',
    `the certificate of this host ended on ${endedAt.toISOString().slice(0, 10)}: it was away from its cluster for too long to renew it`,
    {
      hint: `Join again. On the Auth host: ${addToken(role)}; then here, once: teleport start --token=TOKEN.`,
    },
  );
}

const addToken = (role: SystemRole) => `tctl tokens add --type=${role.toLowerCase()} --format=text`;

/** What to do about a failed join: the address, the pin or the token, whichever it was. */
function joinHint(cause: unknown, { kind, host, port }: AuthRoute, role: SystemRole): string | undefined {
  if (isTeleportError(cause) && cause.hint !== undefined) return cause.hint;
  if (isTeleportError(cause, 'AccessDenied')) {
    return `Tokens run out, and each is for some roles only. Make one on the Auth host: tctl tokens add --type=${role.toLowerCase()}`;
  }
  return isTeleportError(cause, 'ConnectionProblem') ? addressHint(kind, { host, port }) : undefined;
}

function addressHint(kind: AuthRoute['kind'], { host, port }: HostPort): string {
  const [what, setting] = kind === 'proxy' ? ['Proxy', 'proxy_server'] : ['Auth Service', 'auth_server'];
  return `Is ${joinHostPort(host, port)} the address of the cluster's ${what}, and can this host reach it? It is set by ${setting} (or --auth-server).`;
}

/** A Proxy joins at Auth itself; an agent knows only Proxies, also when one was given as --auth-server. */
function joinRoute({ proxyServer, authServer }: TeleportConfig, role: SystemRole, vars: Membership['vars']): AuthRoute {
  if (proxyServer) return { kind: 'proxy', ...proxyServer, vars };
  return role === 'Proxy' ? { kind: 'direct', ...authServer! } : { kind: 'proxy', ...authServer!, vars };
}

/** A token, or the content of the absolute path that was given in its place. */
async function joinToken(value: string | undefined, role: SystemRole): Promise<string> {
  const add = addToken(role);
  if (!value) {
    throw new TeleportError('BadParameter', 'this host has not joined the cluster yet, and there is no join token', {
      hint: `Make one on the Auth host: ${add}; then start with --token=TOKEN.`,
    });
  }
  if (!isAbsolute(value)) return value;
  const hint = `Make a token on the Auth host and put it into that file: ${add}`;
  let text: string;
  try {
    text = (await readFile(value, 'utf8')).trim();
  } catch (cause) {
    throw new TeleportError(
      'BadParameter',
      `this host has not joined the cluster yet, and cannot read the join token from ${value}: ${systemReason(cause)}`,
      { cause, hint },
    );
  }
  // Without --format=text, tctl writes a page about the token.
  const why = text === '' ? 'is empty' : /\s/.test(text) ? 'holds more than a token' : undefined;
  if (why === undefined) return text;
  throw new TeleportError(
    'BadParameter',
    `this host has not joined the cluster yet, and the file of the join token ${why}: ${value}`,
    { hint },
  );
}

/**
 * Pins, and those of the files whose absolute paths were given among them.
 *
 * @throws TeleportError `BadParameter` for a file that cannot be read, or holds none: without a pin nothing would be checked
 */
export async function readPins(values: readonly string[]): Promise<string[]> {
  const read = async (value: string): Promise<string[]> => {
    if (!isAbsolute(value)) return [value];
    const refuse = (why: string, cause?: unknown) =>
      new TeleportError('BadParameter', `cannot read the CA pin from ${value}: ${why}`, {
        cause,
        hint: 'Write what "tctl status" shows on the Auth host into that file.',
      });
    const text = await readFile(value, 'utf8').catch((cause: unknown) => {
      throw refuse(systemReason(cause), cause);
    });
    if (text.includes('-----BEGIN ')) throw refuse('it holds PEM text, not pins');
    const pins = text.split(/\s+/).filter(Boolean);
    if (pins.length === 0) throw refuse('it is empty');
    return pins;
  };
  return (await Promise.all(values.map(read))).flat();
}

/**
 * A service that joined earlier and now reaches nobody is led to the address. One that meets servers whose certificates
 * are not those of its cluster: say so, instead of sending a person to the authorities of this machine, which have no part
 * in it.
 */
export async function asMember<T>(
  { config, auth }: Membership,
  identity: HostIdentity,
  at: HostPort,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (auth) throw error;
    if (certificateProblem(error) === undefined) {
      if (!isTeleportError(error, 'ConnectionProblem') || error.hint !== undefined) throw error;
      const hint = addressHint(identity.role === 'Proxy' ? 'direct' : 'proxy', at);
      throw new TeleportError('ConnectionProblem', `the cluster cannot be reached: ${error.message}`, {
        cause: error,
        hint,
      });
    }
    const file = identityFile(config.dataDir, identity.role);
    throw new TeleportError(
      'AccessDenied',
      `this host belongs to cluster "${identity.clusterName}" (${file}), but ${joinHostPort(at.host, at.port)} has no certificate of that cluster`,
      {
        hint: `Set the address of that cluster's Proxy. To join another cluster, use an empty data_dir, or remove ${file} and start with a join token.`,
      },
    );
  }
}
