/**
 * The Proxy's web API as `tsh` calls it: ping, find, message of the day, the login exchanges. One connection is kept for
 * calls that follow each other. Spec: login-and-profile.md 1 and 2.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { nanosOfMs } from '../duration.js';
import { causesOf, settingAtFault, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { isLoopback } from '../ip.js';
import { dialTls } from '../net/dial.js';
import { WEB_PORT } from '../net/ports.js';
import type { WebTrust } from '../net/trust.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import type { TypedProxy } from '../profile/typed-proxy.js';
import { DEFAULT_DATA_DIR, webCertFiles } from '../resources/default-paths.js';
import { pause } from '../wait.js';
import { type Ping, type SsoType, splitAddress } from './addresses.js';
import { checkedPing } from './check-ping.js';
import { webApiError } from './error.js';
import { exchange, parseJson, TlsAgent } from './exchange.js';
import { type LoginAnswer, loginAnswer } from './login-answer.js';

export interface ProxyClientOptions {
  /** Environment: SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS, HTTPS_PROXY, NO_PROXY. */
  vars: Record<string, string | undefined>;
  /** Do not verify the certificate. */
  insecure?: boolean;
  /** Extra headers of every request (`add_headers`). */
  headers?: Readonly<Record<string, string>>;
  /** Per call. Default 30 s. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Certificate of a Proxy on this machine, trusted for loopback addresses. */
  webproxyCertPath?: string;
  /** `User-Agent`. */
  userAgent?: string;
}

/** What `begin` answers: which second factors may be shown. */
export interface LoginChallenge {
  webauthn_challenge?: unknown;
  totp_challenge?: boolean;
}

/** The keys that certificates are wanted for, and for how long and where. */
export interface CertificateWish {
  /** `authorized_keys` line. */
  sshPublicKey: string;
  tlsPublicKeyPem: string;
  /** 0 = the cluster's default. */
  ttlMs: number;
  /** `''` = root. */
  routeToCluster: string;
}

export interface PasswordLoginRequest extends CertificateWish {
  user: string;
  password: string;
  totpCode: string;
}

export interface SsoLoginRequest extends CertificateWish {
  connectorType: SsoType;
  connector: string;
  /** Where the browser comes back to; holds the key that seals the answer. */
  callbackUrl: string;
  clientVersion: string;
}

/** Where the person logs in: one of the two is set. */
export interface SsoLoginStart {
  redirect_url?: string;
  /** base64 of HTML. */
  post_form?: string;
}

export interface ProxyClient extends Disposable {
  /** `host:port`. */
  readonly address: string;
  ping(connector?: string): Promise<Ping>;
  find(): Promise<Ping>;
  motd(): Promise<string>;
  begin(user: string, password: string): Promise<LoginChallenge>;
  finish(request: PasswordLoginRequest): Promise<LoginAnswer>;
  startSso(request: SsoLoginRequest): Promise<SsoLoginStart>;
}

const WEBPROXY_CERT = webCertFiles(DEFAULT_DATA_DIR).certFile;
const DEFAULT_TIMEOUT_MS = 30_000;
const CHOOSE_CONNECTOR =
  'The name comes from --auth, TELEPORT_AUTH or the last login. --auth=local asks for a password, --auth=NAME takes a connector.';
const NO_CONNECTORS =
  'This cluster has no single sign-on: log in with a password, --auth=local (the name came from --auth, TELEPORT_AUTH or the last login).';
const RACE_PORTS = [WEB_PORT, 443] as const;
const RACE_HEAD_START_MS = 250;
const RACE_TIMEOUT_MS = 5_000;

/** A client for one address. Nothing is dialled before the first call. */
export function proxyClient(address: string, options: ProxyClientOptions): ProxyClient {
  const { host, port } = splitAddress(address, WEB_PORT);
  const { timeoutMs = DEFAULT_TIMEOUT_MS, userAgent = 'teleshift', headers, signal } = options;
  const agent = new TlsAgent(() =>
    dialTls({
      host,
      port,
      vars: options.vars,
      timeoutMs,
      rejectUnauthorized: !options.insecure,
      ...webTrust(host, options),
      ...(signal ? { signal } : {}),
    }),
  );
  const call = (method: string, path: string, body?: unknown) =>
    exchange(agent, { address, method, path, body }, { timeoutMs, userAgent, headers, signal });
  const json = async <T>(method: string, path: string, body?: unknown): Promise<T> =>
    parseJson<T>(await call(method, path, body), `${address}${path}`);
  return {
    address,
    async ping(connector) {
      const path = connector ? `/webapi/ping/${encodeURIComponent(connector)}` : '/webapi/ping';
      const answer = await call('GET', path);
      if (answer.status !== 200) {
        const cause = webApiError(answer.status, answer.body);
        const isConnector = connector !== undefined && cause.code === 'BadParameter';
        const said = cause.message.trim();
        // A cluster without connectors offers an empty list.
        const offersNone = isConnector && /; valid options:$/.test(said);
        throw new TeleportError(
          cause.code,
          `Teleport proxy at ${address} answered the ping with an error: ${said.replace(/; valid options:$/, '')}`,
          { hint: offersNone ? NO_CONNECTORS : isConnector ? CHOOSE_CONNECTOR : cause.hint },
        );
      }
      return checkedPing(parseJson<object>(answer, `${address}${path}`), address);
    },
    find: () => json<Ping>('GET', '/webapi/find'),
    async motd() {
      const { Text: text } = await json<{ Text?: unknown }>('GET', '/webapi/motd');
      return typeof text === 'string' ? text : '';
    },
    begin: (user, password) =>
      json<LoginChallenge>('POST', '/webapi/mfa/login/begin', { user, pass: password, passwordless: false }),
    async finish(request) {
      return loginAnswer(
        await json('POST', '/webapi/mfa/login/finish', {
          user: request.user,
          password: request.password,
          webauthn_challenge_response: null,
          totp_code: request.totpCode,
          ...publicKeys(request),
          ttl: Number(nanosOfMs(request.ttlMs)),
          ...route(request),
        }),
      );
    },
    startSso: (request) =>
      json<SsoLoginStart>('POST', `/webapi/${request.connectorType}/login/console`, {
        redirect_url: request.callbackUrl,
        ...publicKeys(request),
        cert_ttl: Number(nanosOfMs(request.ttlMs)),
        connector_id: request.connector,
        ...route(request),
        PKCEVerifier: randomBytes(32).toString('base64url'),
        client_version: request.clientVersion,
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/**
 * The web address behind `--proxy`: with a port as typed; without one, 3080 and a little later 443 are asked, and the
 * first that answers a ping wins.
 *
 * @throws TeleportError `ConnectionProblem` naming both addresses, with the certificate's problem or the first failure as
 *   its cause; `BadParameter` for a setting that no connection can be tried with
 */
export async function findProxyAddress(typed: TypedProxy, options: ProxyClientOptions): Promise<string> {
  const { host, port } = typed;
  if (port !== undefined) return joinHostPort(host, port);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  const candidates = RACE_PORTS.map((candidate) => joinHostPort(host, candidate));
  const failures: unknown[] = [];
  const asked = candidates.map(async (address, i) => {
    await pause(i * RACE_HEAD_START_MS, signal);
    using client = proxyClient(address, { ...options, signal, timeoutMs: RACE_TIMEOUT_MS - i * RACE_HEAD_START_MS });
    await client.ping().catch((error: unknown) => {
      failures.push(error);
      throw error;
    });
    return address;
  });
  try {
    return await Promise.any(asked);
  } catch {
    options.signal?.throwIfAborted();
    const setting = failures.map(settingAtFault).find((error) => error !== undefined);
    if (setting) throw setting;
    // A certificate that is refused was shown by a Proxy; of other failures the first says what is in the way.
    const refused = failures.find((error) => causesOf(error).some((link) => 'certificateProblem' in link));
    throw new TeleportError(
      'ConnectionProblem',
      `Teleport proxy not available at proxy address ${candidates.join(' or ')}`,
      { cause: refused ?? failures[0] },
    );
  } finally {
    stop.abort(new Error('another address answered'));
  }
}

/** Which authorities a web connection to this host trusts besides the system's. */
export function webTrust(
  host: string,
  { webproxyCertPath: path = WEBPROXY_CERT }: Pick<ProxyClientOptions, 'webproxyCertPath'> = {},
): Pick<WebTrust, 'ca' | 'systemRoots'> {
  if (!isLoopback(host) || !existsSync(path)) return {};
  try {
    return { ca: readCertificateFile(path, 'the certificate of the Proxy on this machine'), systemRoots: true };
  } catch {
    return {}; // not ours to read, or half written: then it is not trusted
  }
}

function publicKeys({ sshPublicKey, tlsPublicKeyPem }: CertificateWish) {
  return { ssh_pub_key: base64(`${sshPublicKey.trim()}\n`), tls_pub_key: base64(tlsPublicKeyPem) };
}

function route({ routeToCluster }: CertificateWish) {
  return { RouteToCluster: routeToCluster, KubernetesCluster: '' };
}

function base64(value: string): string {
  return Buffer.from(value, 'utf8').toString('base64');
}
