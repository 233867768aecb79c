/** A real Auth Service in a temporary directory, and real clients for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
import { hexName } from '../../src/api/alpn.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import { dialAuth } from '../../src/api/dial.js';
import { AuthService, JoinService } from '../../src/api/gen/authservice_pb.js';
import { ClusterConfigService } from '../../src/api/gen/clusterconfig_pb.js';
import {
  AccessReader,
  AuditReader,
  DatabaseAgent,
  Discovery,
  ProxyGateway,
  TrustLink,
} from '../../src/api/gen/internal_pb.js';
import { PresenceService } from '../../src/api/gen/presence_pb.js';
import { TrustService } from '../../src/api/gen/trust_pb.js';
import type { CertAuthorityV2 } from '../../src/api/gen/types_pb.js';
import { UsersService } from '../../src/api/gen/users_pb.js';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { timestampOfDate } from '../../src/api/time.js';
import type { AuditEvent } from '../../src/audit/events.js';
import { readAuditEvents } from '../../src/audit/read.js';
import { type AuthOptions, type AuthService as RunningAuth, startAuth } from '../../src/auth/service.js';
import { runProgram } from '../../src/cli/program.js';
import { silent } from '../../src/log.js';
import { dialTls } from '../../src/net/dial.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import type { SystemRole } from '../../src/resources/system-role.js';
import { program as tctlProgram } from '../../src/tctl/commands.js';
import type { Outcome } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { gone } from '../support/gone.js';

/** Every service of Auth, by its name in a client. */
export const SERVICES = {
  auth: AuthService,
  join: JoinService,
  trust: TrustService,
  users: UsersService,
  presence: PresenceService,
  clusterConfig: ClusterConfigService,
  proxyGateway: ProxyGateway,
  databaseAgent: DatabaseAgent,
  discovery: Discovery,
  auditReader: AuditReader,
  accessReader: AccessReader,
  trustLink: TrustLink,
} as const;

export const CLUSTER = 'root.example.com';
export const PASSWORD = 'correct horse battery';

export interface Credentials {
  certPem: string;
  keyPem: string;
  sshCert: string;
}

export class TestAuth {
  auth!: RunningAuth;
  readonly dir: string;
  /** Added to the system's clock. */
  ahead = 0;
  readonly #clients: AuthClient[] = [];
  readonly #identities = new Map<SystemRole, HostIdentity>();
  /** Of the next `open`. */
  options: Partial<AuthOptions>;

  private constructor(options: Partial<AuthOptions>) {
    this.options = options;
    this.dir = mkdtempSync(join(tmpdir(), 'auth-'));
  }

  static async start(options: Partial<AuthOptions> = {}): Promise<TestAuth> {
    const cluster = new TestAuth(options);
    await cluster.open();
    return cluster;
  }

  now = () => new Date(Date.now() + this.ahead);

  async open(): Promise<void> {
    this.auth = await startAuth({
      dataDir: this.dir,
      clusterName: CLUSTER,
      listen: { host: '127.0.0.1', port: 0 },
      nodename: 'auth-1',
      log: silent,
      version: '18.3.0',
      now: this.now,
      ...this.options,
    });
    for (const role of ['Admin', 'Proxy', 'Db', 'Node'] as const) await this.identity(role);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    await this.auth.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true });
  }

  async as(credentials: { certPem?: string; keyPem?: string }): Promise<AuthClient> {
    const { hostCaPems } = await this.identity('Node');
    const client = await dialAuth(
      { kind: 'direct', ...this.auth.address },
      { clusterName: CLUSTER, hostCaPems, ...credentials },
      { version: '18.3.0' },
    );
    this.#clients.push(client);
    return client;
  }

  /** A connection that has made a call and stays open; `closed` resolves when it is not any more. */
  async hold({ certPem, keyPem }: Pick<Credentials, 'certPem' | 'keyPem'>) {
    const { hostCaPems } = await this.identity('Node');
    const authority = hexName(CLUSTER);
    const socket = await dialTls({
      ...this.auth.address,
      servername: authority,
      alpn: ['h2'],
      timeoutMs: 60_000,
      ca: hostCaPems,
      cert: certPem,
      key: keyPem,
    });
    const closed = gone(socket);
    const client = openAuthClient({ authority, version: '18.3.0', connect: async () => socket });
    this.#clients.push(client);
    await client.auth.getDomainName({});
    return { client, closed };
  }

  /** Made once, before the clock is moved: TLS goes by the system's clock. */
  async identity(role: SystemRole): Promise<HostIdentity> {
    const request = { role, nodename: 'host-1', additionalPrincipals: [], dnsNames: [] };
    const made = this.#identities.get(role) ?? (await this.auth.issueHostIdentity(request));
    this.#identities.set(role, made);
    return made;
  }

  readonly asHost = async (role: SystemRole): Promise<AuthClient> => await this.as(await this.identity(role));

  /** Environment of `tctl`. */
  vars: Record<string, string> = {};

  /** `tctl` as on the host of Auth, with standard input. */
  async tctl(input: string, ...args: string[]): Promise<Outcome> {
    const { host, port } = this.auth.address;
    const config = { teleport: { data_dir: this.dir }, auth_service: { listen_addr: `${host}:${port}` } };
    const file = join(this.dir, 'teleport.yaml');
    writeFileSync(file, JSON.stringify(config));
    const env = memoryEnv({ cwd: this.dir, home: this.dir, vars: this.vars, input });
    const status = await runProgram(tctlProgram, ['-c', file, ...args], env);
    return { status, stdout: env.out(), stderr: env.err() };
  }

  /** Make a user who has accepted an invitation; gives back the TOTP secret. */
  async invite(name: string, roles: string[], traits: Record<string, string[]> = {}): Promise<string> {
    const admin = await this.asHost('Admin');
    const proxy = await this.asHost('Proxy');
    const values = Object.fromEntries(Object.entries(traits).map(([key, list]) => [key, { values: list }]));
    await admin.users.createUser({
      user: { kind: 'user', version: 'v2', metadata: { name }, spec: { roles, traits: { values } } },
    });
    const invite = await admin.auth.createResetPasswordToken({ name, type: 'invite', ttl: 0n });
    return await accept(proxy, invite.metadata!.name, this.now);
  }

  async login(user: string, secret: string, more: Record<string, unknown> = {}): Promise<Credentials> {
    const proxy = await this.asHost('Proxy');
    const key = await generateKey('ecdsa-p256');
    const ssh = await generateKey('ed25519');
    const code = codeAt(secret, this.now(), 1);
    const answer = await proxy.proxyGateway.loginFinish({
      user,
      password: PASSWORD,
      totpCode: code,
      sshPublicKey: Buffer.from(authorizedKeyLine(ssh)),
      tlsPublicKey: Buffer.from(publicKeyPem(key)),
      remoteAddr: '203.0.113.7:4711',
      ...more,
    });
    return { certPem: text(answer.tlsCert), keyPem: privateKeyPem(key), sshCert: text(answer.sshCert) };
  }

  async events(...names: string[]): Promise<AuditEvent[]> {
    const found: AuditEvent[] = [];
    const from = new Date(Date.now() - 3_600_000);
    const to = new Date(Date.now() + this.ahead + 3_600_000);
    for await (const event of readAuditEvents({ dir: join(this.dir, 'log'), from, to, names })) found.push(event);
    return found;
  }
}

/** Open the page of an invitation and fill it in, with the code of now: that of the next period is left for a login. */
export async function accept(proxy: AuthClient, token: string, now: () => Date): Promise<string> {
  const page = await proxy.proxyGateway.getUserToken({ token });
  const secret = new URL(page.otpauthUrl).searchParams.get('secret')!;
  await proxy.proxyGateway.changeUserPassword({
    token,
    password: Buffer.from(PASSWORD),
    totpCode: codeAt(secret, now()),
    remoteAddr: '203.0.113.7:1',
  });
  return secret;
}

/** The code some periods from now. */
export function codeAt(secret: string, now: Date, periods = 0): string {
  const timestamp = now.getTime() + periods * 30_000;
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp });
}

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
export const inMs = (ms: number) => timestampOfDate(new Date(Date.now() + ms));

/** Its authority of hosts, as it would post it. */
export async function hostAuthorityOf(leaf: TestAuth): Promise<CertAuthorityV2> {
  const admin = await leaf.asHost('Admin');
  return await admin.trust.getCertAuthority({ type: 'host' });
}

/** Have a cluster become a leaf of another one. */
export async function becomeLeaf(root: TestAuth, leaf: TestAuth): Promise<void> {
  const admin = await root.asHost('Admin');
  const token = {
    kind: 'token',
    version: 'v2',
    metadata: { name: 'for-a-leaf' },
    spec: { roles: ['Trusted_cluster'] },
  };
  await admin.auth.createTokenV2({ token: { case: 'v2', value: token } });
  const proxy = await root.asHost('Proxy');
  const certificateAuthorities = [await hostAuthorityOf(leaf)];
  await proxy.proxyGateway.validateTrustedCluster({ token: 'for-a-leaf', certificateAuthorities });
}

/** The certificate of a host of this cluster, to be shown to another one. */
export async function shown(cluster: TestAuth, role: SystemRole): Promise<{ certPem: string; keyPem: string }> {
  const { certPem, keyPem } = await cluster.identity(role);
  return { certPem, keyPem };
}
