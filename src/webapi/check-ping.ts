/**
 * The answer of `/webapi/ping` before anybody believes it. Members that we do not know are passed over; one that we use
 * must have its type. Spec: login-and-profile.md 1.2.
 */
import { TeleportError } from '../errors.js';
import type { Ping } from './addresses.js';

type Kind = 'string' | 'boolean' | 'number';

/** Members that are read, by path, with their types. */
const MEMBERS: Readonly<Record<string, readonly Kind[]>> = {
  server_version: ['string'],
  min_client_version: ['string'],
  cluster_name: ['string'],
  'auth.type': ['string'],
  'auth.local.name': ['string'],
  'auth.has_motd': ['boolean'],
  'auth.load_all_cas': ['boolean'],
  'auth.default_session_ttl': ['string', 'number'],
  'auth.signature_algorithm_suite': ['string', 'number'],
  'auth.private_key_policy': ['string'],
  'proxy.tls_routing_enabled': ['boolean'],
  'proxy.kube.enabled': ['boolean'],
  'proxy.kube.public_addr': ['string'],
  'proxy.kube.listen_addr': ['string'],
  'proxy.ssh.listen_addr': ['string'],
  'proxy.ssh.web_listen_addr': ['string'],
  'proxy.ssh.public_addr': ['string'],
  'proxy.ssh.ssh_public_addr': ['string'],
  'proxy.ssh.dial_timeout': ['number'],
  'proxy.db.postgres_listen_addr': ['string'],
  'proxy.db.postgres_public_addr': ['string'],
  'proxy.db.mysql_listen_addr': ['string'],
  'proxy.db.mysql_public_addr': ['string'],
  'proxy.db.mongo_listen_addr': ['string'],
  'proxy.db.mongo_public_addr': ['string'],
};

/** `18.3.0`, `18.0.0-rc.1+abc`: shown to people as it is, so nothing else may follow. */
const VERSION = /^\d+\.\d+\.\d+(?:[-+][\w.+-]*)?$/;
/** An address is dialled, written into a request for a tunnel, into files and on terminals. */
const NOT_IN_ADDRESS = /[\s\p{C}/@?#\\]/u;

/** @throws TeleportError `Protocol` for an answer that is not a ping of a Teleport proxy */
export function checkedPing(answer: object, address: string): Ping {
  const ping = withoutNulls(answer) as Ping;
  for (const [path, kinds] of Object.entries(MEMBERS)) {
    let value: unknown = ping;
    const names = path.split('.');
    names.forEach((name, depth) => {
      if (value === undefined) return;
      if (typeof value !== 'object' || Array.isArray(value))
        throw wrongType(address, names.slice(0, depth).join('.'), 'an object');
      value = (value as Record<string, unknown>)[name];
    });
    if (value !== undefined && !kinds.includes(typeof value as Kind))
      throw wrongType(address, path, `a ${kinds.join(' or ')}`);
    if (path.endsWith('_addr') && NOT_IN_ADDRESS.test(String(value ?? '')))
      throw wrongType(address, path, 'an address');
  }
  const { server_version: version = '' } = ping;
  if (VERSION.test(version)) return ping;
  throw new TeleportError(
    'Protocol',
    `the server at ${address} is not a Teleport proxy: its version ${JSON.stringify(version)} is not in dotted-tri format`,
  );
}

function wrongType(address: string, path: string, wanted: string): TeleportError {
  return new TeleportError(
    'Protocol',
    `the server at ${address} is not a Teleport proxy: ${path} of its ping is not ${wanted}`,
  );
}

/** As Go reads JSON: null is absence. */
function withoutNulls(value: object): unknown {
  if (Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name, typeof member === 'object' ? withoutNulls(member) : member]),
  );
}
