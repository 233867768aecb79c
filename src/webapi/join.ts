/**
 * The client's side of joining: a token for a host certificate. Through a Proxy it is one HTTPS request, at the Auth port
 * one gRPC call (ways A and C of `auth-grpc-and-routing.md` 6.1). Keys are made here; the token goes only to a server whose
 * certificate was checked, or when the person said `insecure`.
 */
import { request as httpRequest } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ALPN } from '../api/alpn.js';
import { type AuthClient, openAuthClient } from '../api/client.js';
import type { AuthRoute, HostIdentity } from '../api/host-identity.js';
import { TeleportError, TimedOut } from '../errors.js';
import { dialTls } from '../net/dial.js';
import { joinHostPort } from '../net/socket-errors.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../pki/keys.js';
import { splitPem } from '../pki/pem.js';
import { authorizedKeyLine } from '../pki/ssh/key.js';
import { checkPins } from '../pki/verify.js';
import type { SystemRole } from '../resources/types.js';
import { certificateCluster } from './certificate-cluster.js';

export interface JoinOptions {
  route: AuthRoute;
  /** The token itself. */
  token: string;
  role: SystemRole;
  /** UUID that this host chose for itself. */
  hostId: string;
  nodename: string;
  additionalPrincipals?: string[];
  dnsNames?: string[];
  /** `sha256:…`; every Host CA certificate must match one. Needed to join at the Auth port. */
  caPins?: readonly string[];
  /** Do not check the server's certificate. */
  insecure?: boolean;
  version: string;
  /** For the whole join. Default 30 000. */
  timeoutMs?: number;
  vars?: Record<string, string | undefined>;
}

interface Request {
  hostId: string;
  nodeName: string;
  role: string;
  token: string;
  additionalPrincipals: string[];
  dnsNames: string[];
  publicTlsKey: string;
  publicSshKey: string;
}

interface Answer {
  sshCert: string;
  certPem: string;
  hostCaPems: string[];
}

/** Any host name that every host certificate carries, for a cluster whose name is not known yet. */
const ANY_HOST = 'teleport.cluster.local';
const JOIN_PATH = '/webapi/host/credentials';
const MAX_ANSWER_BYTES = 1024 * 1024;
const JOIN_TIMEOUT_MS = 30_000;

/**
 * Join and get the identity to keep.
 *
 * @throws TeleportError `AccessDenied` for a wrong token, role or pin; `ConnectionProblem`
 */
export async function joinCluster(options: JoinOptions): Promise<HostIdentity> {
  const tlsKey = await generateKey('ecdsa-p256');
  const sshKey = await generateKey('ed25519');
  const request: Request = {
    hostId: options.hostId,
    nodeName: options.nodename,
    role: options.role,
    token: options.token,
    additionalPrincipals: options.additionalPrincipals ?? [],
    dnsNames: options.dnsNames ?? [],
    publicTlsKey: publicKeyPem(tlsKey),
    publicSshKey: `${authorizedKeyLine(sshKey).trimEnd()}\n`,
  };
  const answer =
    options.route.kind === 'proxy' ? await joinAtProxy(options, request) : await joinAtAuth(options, request);
  checkPins(options.caPins ?? [], answer.hostCaPems);
  return {
    hostId: options.hostId,
    role: options.role,
    nodename: options.nodename,
    clusterName: certificateCluster(answer.certPem),
    certPem: answer.certPem,
    keyPem: privateKeyPem(tlsKey),
    ...(answer.sshCert === '' ? {} : { sshCert: answer.sshCert }),
    hostCaPems: answer.hostCaPems,
  };
}

async function joinAtProxy(options: JoinOptions, request: Request): Promise<Answer> {
  const { host, port } = options.route;
  const timeoutMs = options.timeoutMs ?? JOIN_TIMEOUT_MS;
  const socket = await dialTls({ ...dialling(options), alpn: [ALPN.http1], rejectUnauthorized: !options.insecure });
  try {
    const body = JSON.stringify({
      hostID: request.hostId,
      node_name: request.nodeName,
      role: request.role,
      token: request.token,
      additional_principals: request.additionalPrincipals,
      dns_names: request.dnsNames,
      public_tls_key: base64(request.publicTlsKey),
      public_ssh_key: base64(request.publicSshKey),
    });
    const { status, text } = await post(socket, { host: `${host}:${port}`, body, timeoutMs });
    const json = parseJson(text);
    if (status !== 200) throw refusal(status, json);
    return {
      sshCert: textOf(json.ssh),
      certPem: textOf(json.tls),
      hostCaPems: listOf(json.tls_ca_certs).flatMap((pem) => splitPem(pem, 'CERTIFICATE')),
    };
  } finally {
    socket.destroy();
  }
}

async function joinAtAuth(options: JoinOptions, request: Request): Promise<Answer> {
  const authorities = await pinnedAuthorities(options);
  await using client = authClient(options, authorities);
  const certs = await client.join.registerUsingToken({
    hostId: request.hostId,
    nodeName: request.nodeName,
    role: request.role,
    token: request.token,
    additionalPrincipals: request.additionalPrincipals,
    dnsNames: request.dnsNames,
    publicTlsKey: Buffer.from(request.publicTlsKey),
    publicSshKey: Buffer.from(request.publicSshKey),
  });
  return {
    sshCert: Buffer.from(certs.ssh).toString(),
    certPem: Buffer.from(certs.tls).toString(),
    hostCaPems: certs.tlsCaCerts.flatMap((pem) => splitPem(Buffer.from(pem).toString(), 'CERTIFICATE')),
  };
}

/** The authorities that the pins vouch for; undefined = nobody checks (`insecure`). */
async function pinnedAuthorities(options: JoinOptions): Promise<string[] | undefined> {
  if (options.caPins === undefined || options.caPins.length === 0) {
    if (options.insecure) return undefined;
    throw new TeleportError('BadParameter', 'joining at the Auth Service needs a CA pin', {
      hint: 'Run "tctl status" on the cluster and set ca_pin, or join through the Proxy with proxy_server.',
    });
  }
  await using client = authClient(options, undefined);
  const { tlsCa } = await client.auth.getClusterCACert({});
  const authorities = splitPem(Buffer.from(tlsCa).toString(), 'CERTIFICATE');
  checkPins(options.caPins, authorities);
  return authorities;
}

function authClient(options: JoinOptions, ca: string[] | undefined): AuthClient {
  return openAuthClient({
    authority: ANY_HOST,
    version: options.version,
    product: 'teleport',
    address: joinHostPort(options.route.host, options.route.port),
    defaultTimeoutMs: options.timeoutMs ?? JOIN_TIMEOUT_MS,
    connect: () =>
      dialTls({
        ...dialling(options),
        servername: ANY_HOST,
        alpn: [ALPN.h2],
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
      }),
  });
}

function dialling({ route, timeoutMs = JOIN_TIMEOUT_MS, vars }: JoinOptions) {
  return { host: route.host, port: route.port, timeoutMs, ...(vars ? { vars } : {}) };
}

function post(
  socket: TLSSocket,
  { host, body, timeoutMs }: { host: string; body: string; timeoutMs: number },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const failed = (cause: unknown) =>
      reject(new TeleportError('ConnectionProblem', `joining through ${host} failed`, { cause }));
    const timer = setTimeout(() => failed(new TimedOut('answer', timeoutMs, { address: host })), timeoutMs);
    const request = httpRequest(
      {
        createConnection: () => socket,
        method: 'POST',
        path: JOIN_PATH,
        headers: { host, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES) response.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.once('error', failed);
        response.once('close', () => clearTimeout(timer));
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    request.once('error', (error) => {
      clearTimeout(timer);
      failed(error);
    });
    request.end(body);
  });
}

/** The Proxy answers errors as `{"error": {"message": …}}` (Teleport's web API). */
function refusal(status: number, json: Record<string, unknown>): TeleportError {
  const inner = json.error as { message?: unknown } | undefined;
  const told =
    typeof inner?.message === 'string' ? inner.message : typeof json.message === 'string' ? json.message : '';
  const code = status === 403 ? 'AccessDenied' : status === 400 ? 'BadParameter' : 'ConnectionProblem';
  return new TeleportError(code, told === '' ? `the Proxy answered HTTP status ${status}` : told);
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // told below
  }
  return {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
