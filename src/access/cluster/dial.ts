/**
 * One connection to the Proxy on which PostgreSQL may begin, by whichever way the cluster of a login is reached.
 *
 *     TLS routing       TLS to the web address, ALPN teleport-postgres(-ping), inside a WebSocket behind a balancer
 *     separate ports    PostgreSQL's own way into TLS
 */
import type { Duplex } from 'node:stream';
import { ALPN, PING_SUFFIX } from '../../api/alpn.js';
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import { hostOf, joinHostPort } from '../../host-port.js';
import { dialTcp, dialTls } from '../../net/dial.js';
import { PingStream } from '../../net/ping-stream.js';
import { POSTGRES_PORT, WEB_PORT } from '../../net/ports.js';
import { dialRouted } from '../../net/routed.js';
import { requestTls } from '../../pg/frontend.js';
import type { LoginSession } from '../../profile/session.js';
import type { DatabaseKeys } from '../../profile/store.js';
import { splitAddress } from '../../webapi/addresses.js';
import { webTrust } from '../../webapi/client.js';
import { isUpgraded } from '../login/client.js';
import { tlsCasOf } from '../login/host-cas.js';
import type { Login } from '../login/login.js';

const DIAL_TIMEOUT_MS = 30_000;

/** @param keys  of the database certificate; without them the client brings its own, or sends a CancelRequest */
export type DialPostgres = (
  env: Env,
  login: Pick<Login, 'session' | 'isInsecure'>,
  keys: DatabaseKeys | undefined,
) => Promise<Duplex>;

export const dialPostgres: DialPostgres = async (env, { session, isInsecure }, keys) => {
  const common = {
    ...(keys ? { cert: keys.certPem, key: keys.keyPem } : {}),
    rejectUnauthorized: !isInsecure,
    vars: env.vars,
    timeoutMs: DIAL_TIMEOUT_MS,
  };
  const hostCas = async () =>
    isInsecure ? [] : tlsCasOf(await session.store.hostCas(session.name), session.rootCluster);
  const { webProxyAddr, tlsRoutingEnabled } = session.profile;
  if (tlsRoutingEnabled === false) {
    const target = postgresAddress(session, POSTGRES_PORT);
    const socket = await dialSeparate(env, target, keys !== undefined);
    return keys ? await dialTls({ ...common, ...target, socket, ca: await hostCas() }) : socket;
  }
  const upgraded = isUpgraded(session, { vars: env.vars });
  const web = webTrust(hostOf(webProxyAddr));
  const stream = await dialRouted(
    {
      ...common,
      ...splitAddress(webProxyAddr, WEB_PORT),
      alpn: [ALPN.postgres + PING_SUFFIX, ALPN.postgres],
      ...(upgraded ? { ca: await hostCas() } : web),
    },
    upgraded ? { trust: { ...web, vars: env.vars, rejectUnauthorized: !isInsecure }, protocol: 'alpn' } : undefined,
  );
  const { alpnProtocol } = stream;
  return typeof alpnProtocol === 'string' && alpnProtocol.endsWith(PING_SUFFIX) ? new PingStream(stream) : stream;
};

/** Where clients that bring their own TLS find PostgreSQL. */
export function postgresAddress({ profile }: LoginSession, defaultPort = 443): { host: string; port: number } {
  return splitAddress(profile.postgresProxyAddr ?? profile.webProxyAddr, defaultPort);
}

/** A connection to PostgreSQL's own port, where wanted as far as the server is ready for TLS. */
async function dialSeparate(env: Env, target: { host: string; port: number }, withTls: boolean): Promise<Duplex> {
  const socket = await dialTcp({ ...target, vars: env.vars, timeoutMs: DIAL_TIMEOUT_MS });
  if (!withTls) return socket;
  const address = joinHostPort(target.host, target.port);
  try {
    if (await requestTls(socket, { address })) return socket;
    throw new TeleportError('ConnectionProblem', `${address} refused TLS connection`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
