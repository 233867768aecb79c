/**
 * The leaf's side of the beginning of a trust: its authority of hosts and a token for the authorities of the root. A request
 * of the root's web API, whose certificate is checked. Shapes: Teleport 18.3.0, lib/auth/authclient/clt.go.
 */
import { TeleportError } from '../errors.js';
import { dialTls } from '../net/dial.js';
import { WEB_PORT } from '../net/ports.js';
import type { CertAuthority } from '../resources/types.js';
import { splitAddress } from './addresses.js';
import { type ProxyClientOptions, proxyClient, webTrust } from './client.js';
import { exchange, parseJson, TlsAgent } from './exchange.js';

export interface TrustRequest {
  /** `host:port` of the root's Proxy. */
  address: string;
  token: string;
  hostAuthority: CertAuthority;
  version: string;
}

type TrustOptions = Pick<ProxyClientOptions, 'vars' | 'insecure'>;

const PATH = '/webapi/trustedclusters/validate';
const TIMEOUT_MS = 30_000;

/** What the cluster behind a Proxy is called. @throws TeleportError `ConnectionProblem` */
export async function clusterBehind(address: string, options: TrustOptions): Promise<string> {
  using client = proxyClient(address, { ...options, timeoutMs: TIMEOUT_MS });
  const { cluster_name: name } = await client.ping();
  if (name) return name;
  throw new TeleportError('Protocol', `the Proxy at ${address} does not say what its cluster is called`);
}

/** @returns the authorities of the root, as it says them @throws TeleportError `AccessDenied` for a token that is not good */
export async function exchangeAuthorities(request: TrustRequest, options: TrustOptions): Promise<CertAuthority[]> {
  const { address, token, hostAuthority, version } = request;
  const { host, port } = splitAddress(address, WEB_PORT);
  const agent = new TlsAgent(() =>
    dialTls({
      host,
      port,
      vars: options.vars,
      timeoutMs: TIMEOUT_MS,
      rejectUnauthorized: !options.insecure,
      ...webTrust(host),
    }),
  );
  try {
    const body = { token, certificate_authorities: [encodedAuthority(hostAuthority)], teleport_version: version };
    const answer = await exchange(
      agent,
      { address, method: 'POST', path: PATH, body },
      { timeoutMs: TIMEOUT_MS, userAgent: `teleport/${version}` },
    );
    const { certificate_authorities: given } = parseJson<Record<string, unknown>>(answer, `${address}${PATH}`);
    if (!Array.isArray(given)) throw new TeleportError('Protocol', `the Proxy at ${address} names no authorities`);
    return given.map(decodedAuthority);
  } finally {
    agent.destroy();
  }
}

/** Base64 of its JSON. */
export function encodedAuthority(authority: CertAuthority): string {
  return Buffer.from(JSON.stringify(authority)).toString('base64');
}

/** @throws TeleportError `BadParameter` for what is not an authority */
export function decodedAuthority(text: unknown): CertAuthority {
  try {
    const value = JSON.parse(Buffer.from(text as string, 'base64').toString('utf8')) as CertAuthority;
    const { spec } = value;
    if (typeof spec.type === 'string' && typeof spec.cluster_name === 'string') {
      const sets = { active_keys: spec.active_keys ?? {}, additional_trusted_keys: spec.additional_trusted_keys ?? {} };
      return { ...value, spec: { ...spec, ...sets } };
    }
  } catch {
    // said below
  }
  throw new TeleportError('BadParameter', 'an authority of the other cluster cannot be read');
}
