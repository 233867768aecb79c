/**
 * The client's side of joining: a token for a host certificate. Through a Proxy it is one HTTPS request, at the Auth port
 * one gRPC call (ways A and C of auth-grpc-and-routing.md 6.1); with an identity of AWS it is a conversation of one challenge,
 * in gRPC either way. Keys are made here; the token goes only to a server whose
 * certificate was checked, or when the person said `insecure`.
 */
import { ALPN } from '../api/alpn.js';
import type { AuthClient } from '../api/client.js';
import { openProxyJoin, openUnknownAuth } from '../api/dial.js';
import type { Certs } from '../api/gen/authservice_pb.js';
import type { AuthRoute, HostIdentity } from '../api/host-identity.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { dialTls } from '../net/dial.js';
import { issuingCluster } from '../pki/cluster-name.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../pki/keys.js';
import { splitPem } from '../pki/pem.js';
import { authorizedKeyLine } from '../pki/ssh/key.js';
import { checkPins } from '../pki/verify.js';
import type { SystemRole } from '../resources/system-role.js';
import { exchange, parseJson, TlsAgent } from './exchange.js';

export interface JoinOptions {
  route: AuthRoute;
  /** The token itself. */
  token: string;
  /**
   * To join by an identity of AWS: signs the challenge with it (`aws/identity-proof.ts`). Absent: who knows the token may join.
   */
  prove?: ((challenge: string) => Promise<Buffer>) | undefined;
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

const JOIN_PATH = '/webapi/host/credentials';
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
  const { route, prove } = options;
  const answer = prove
    ? await joinByIdentity(options, request, prove)
    : route.kind === 'proxy'
      ? await joinAtProxy(options, route, request)
      : await joinAtAuth(options, request);
  checkPins(options.caPins ?? [], answer.hostCaPems);
  const clusterName = answer.certPem === '' ? undefined : issuingCluster(answer.certPem);
  if (clusterName === undefined) throw new TeleportError('Protocol', 'a certificate without the name of its cluster');
  return {
    hostId: options.hostId,
    role: options.role,
    nodename: options.nodename,
    clusterName,
    certPem: answer.certPem,
    keyPem: privateKeyPem(tlsKey),
    ...(answer.sshCert === '' ? {} : { sshCert: answer.sshCert }),
    hostCaPems: answer.hostCaPems,
  };
}

async function joinAtProxy(
  options: JoinOptions,
  { host, port, vars }: AuthRoute & { kind: 'proxy' },
  request: Request,
): Promise<Answer> {
  const address = joinHostPort(host, port);
  const timeoutMs = options.timeoutMs ?? JOIN_TIMEOUT_MS;
  const agent = new TlsAgent(() =>
    dialTls({ host, port, vars, timeoutMs, alpn: [ALPN.http1], rejectUnauthorized: !options.insecure }),
  );
  const body = {
    hostID: request.hostId,
    node_name: request.nodeName,
    role: request.role,
    token: request.token,
    additional_principals: request.additionalPrincipals,
    dns_names: request.dnsNames,
    public_tls_key: base64(request.publicTlsKey),
    public_ssh_key: base64(request.publicSshKey),
  };
  try {
    const answer = await exchange(
      agent,
      { address, method: 'POST', path: JOIN_PATH, body },
      { timeoutMs, userAgent: `teleport/${options.version}` },
    );
    const json = parseJson<Record<string, unknown>>(answer, `${address}${JOIN_PATH}`);
    return {
      sshCert: textOf(json.ssh),
      certPem: textOf(json.tls),
      hostCaPems: listOf(json.tls_ca_certs).flatMap((pem) => splitPem(pem, 'CERTIFICATE')),
    };
  } catch (error) {
    // What the dial says leads further than the call that it was for.
    throw isTeleportError(error) && isTeleportError(error.cause) ? error.cause : error;
  } finally {
    agent.destroy();
  }
}

async function joinAtAuth(options: JoinOptions, request: Request): Promise<Answer> {
  const authorities = await pinnedAuthorities(options);
  await using client = authClient(options, authorities);
  return answerOf(await client.join.registerUsingToken(messageOf(request)));
}

async function joinByIdentity(
  options: JoinOptions,
  request: Request,
  prove: NonNullable<JoinOptions['prove']>,
): Promise<Answer> {
  const { route } = options;
  await using client =
    route.kind === 'proxy'
      ? openProxyJoin(route, dialOptions(options))
      : authClient(options, await pinnedAuthorities(options));
  let give: (challenge: string) => void = () => {};
  const challenged = new Promise<string>((resolve) => {
    give = resolve;
  });
  /** Of making the proof: what the library says of a request that was not finished leads nobody further. */
  let failure: unknown;
  const answering = async function* () {
    const stsIdentityRequest = await prove(await challenged).catch((error: unknown) => {
      failure = error;
      throw error;
    });
    yield { registerUsingTokenRequest: messageOf(request), stsIdentityRequest };
  };
  let answer: Answer | undefined;
  try {
    for await (const { challenge, certs } of client.join.registerUsingIAMMethod(answering())) {
      if (certs) answer = answerOf(certs);
      else give(challenge);
    }
  } catch (error) {
    throw failure ?? error;
  }
  if (answer) return answer;
  throw new TeleportError('Protocol', 'the cluster ended the join without certificates');
}

const messageOf = (request: Request) => ({
  hostId: request.hostId,
  nodeName: request.nodeName,
  role: request.role,
  token: request.token,
  additionalPrincipals: request.additionalPrincipals,
  dnsNames: request.dnsNames,
  publicTlsKey: Buffer.from(request.publicTlsKey),
  publicSshKey: Buffer.from(request.publicSshKey),
});

const answerOf = ({ ssh, tls, tlsCaCerts }: Certs): Answer => ({
  sshCert: Buffer.from(ssh).toString(),
  certPem: Buffer.from(tls).toString(),
  hostCaPems: tlsCaCerts.flatMap((pem) => splitPem(Buffer.from(pem).toString(), 'CERTIFICATE')),
});

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
  return openUnknownAuth(options.route, ca, dialOptions(options));
}

const dialOptions = ({ version, insecure = false, timeoutMs = JOIN_TIMEOUT_MS }: JoinOptions) => ({
  ...{ version, product: 'teleport', insecure },
  ...{ timeoutMs, callTimeoutMs: timeoutMs },
});

function textOf(value: unknown): string {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
