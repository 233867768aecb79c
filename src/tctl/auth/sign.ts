/**
 * `tctl auth sign`: an identity for a program (`--user`) or certificates for a self-hosted database
 * (`--format=db --host`). Source: cli.md 6.9, certificates.md 8, login-and-profile.md 7.1.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fetchAuthorityKeys } from '../../api/authorities.js';
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { confirm } from '../../cli/prompt.js';
import { nanosOfMs } from '../../duration.js';
import { TeleportError } from '../../errors.js';
import { encodeIdentityFile } from '../../identity/identity-file.js';
import { knownHostsLine } from '../../identity/known-hosts.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../pki/keys.js';
import { authorizedKeyLine, readAuthorizedKey } from '../../pki/ssh/certificate.js';
import { keyFor, suiteOfNumber } from '../../pki/suites.js';
import { createCsr, NAME_OID } from '../../pki/x509.js';
import { writeWhole } from '../../profile/whole-file.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface AuthSignArgs extends AdminArgs {
  out?: string | undefined;
  user?: string | undefined;
  host?: string[] | undefined;
  format: string;
  /** Milliseconds. */
  ttl: number;
  overwrite: boolean;
  dbService?: string | undefined;
  dbUser?: string | undefined;
  dbName?: string | undefined;
}

const FORMATS = ['file', 'openssh', 'tls', 'db'];

export async function run(env: Env, args: AuthSignArgs): Promise<void> {
  if (!args.out) throw new TeleportError('BadParameter', 'required flag --out not provided');
  if (!FORMATS.includes(args.format)) {
    throw new TeleportError(
      'BadParameter',
      `unsupported identity format: "${args.format}", use one of ${FORMATS.join(', ')}`,
    );
  }
  if (!args.user && !args.host?.length) throw new TeleportError('BadParameter', '--user or --host must be specified');
  await using client = await connectAdmin(env, args);
  const files = args.format === 'db' ? await databaseFiles(client, args) : await userFiles(client, env, args);
  const existing = files.map(([suffix]) => `${args.out}${suffix}`).filter((name) => existsSync(resolve(env.cwd, name)));
  if (existing.length > 0 && !args.overwrite) {
    if (!(await confirm(env, `Destination file(s) ${existing.join(', ')} exist. Overwrite?`)))
      throw new TeleportError('AlreadyExists', `not overwriting destination files ${existing.join(', ')}`);
  }
  for (const [suffix, text] of files) await writeWhole(resolve(env.cwd, `${args.out}${suffix}`), text, 0o600);
  const names = files.map(([suffix]) => `${args.out}${suffix}`).join(', ');
  if (args.format !== 'db') return printLine(env, `The credentials have been written to ${names}`);
  printLine(env);
  printLine(env, `Database credentials have been written to ${names}.`);
  printLine(env);
  printLine(env);
  printLine(env, 'To turn on mutual TLS in PostgreSQL, add these lines to its postgresql.conf:');
  printLine(env);
  printLine(env, 'ssl = on');
  printLine(env, "ssl_cert_file = '/path/to/server.crt'");
  printLine(env, "ssl_key_file = '/path/to/server.key'");
  printLine(env, "ssl_ca_file = '/path/to/server.cas'");
  printLine(env);
  printLine(env, 'and accept client certificates in pg_hba.conf:');
  printLine(env);
  printLine(env, 'hostssl all all all cert');
}

type OutputFile = [suffix: string, text: string];

async function databaseFiles(client: AuthClient, args: AuthSignArgs): Promise<OutputFile[]> {
  const hosts = args.host ?? [];
  if (hosts.length === 0) throw new TeleportError('BadParameter', 'at least one hostname must be specified');
  const key = await generateKey('rsa2048');
  const csr = createCsr({ subject: [{ oid: NAME_OID.commonName, values: [hosts[0]!] }], key });
  const { cert, caCerts } = await client.auth.generateDatabaseCert({
    csr: Buffer.from(csr),
    serverName: hosts[0]!,
    serverNames: hosts,
    ttl: nanosOfMs(args.ttl),
    requesterName: 1,
  });
  return [
    ['.key', privateKeyPem(key)],
    ['.crt', text(cert)],
    ['.cas', caCerts.map(text).join('')],
  ];
}

async function userFiles(client: AuthClient, env: Env, args: AuthSignArgs): Promise<OutputFile[]> {
  const ping = await client.auth.ping({});
  // One key for SSH and TLS, of the kind that the cluster uses for TLS.
  const key = await generateKey(keyFor(suiteOfNumber(ping.signatureAlgorithmSuite), 'user-tls'));
  const expires = new Date(env.now().getTime() + args.ttl);
  const certs = await client.auth.generateUserCerts({
    username: args.user!,
    expires: { seconds: BigInt(Math.floor(expires.getTime() / 1000)), nanos: 0 },
    routeToCluster: ping.clusterName,
    usage: 0,
    sshPublicKey: Buffer.from(`${authorizedKeyLine(key)}\n`),
    tlsPublicKey: Buffer.from(publicKeyPem(key)),
    routeToApp: {},
    routeToWindowsDesktop: {},
    routeToDatabase: args.dbService
      ? { serviceName: args.dbService, protocol: 'postgres', username: args.dbUser ?? '', database: args.dbName ?? '' }
      : {},
  });
  const active = (await fetchAuthorityKeys(client, 'host')).filter(({ status }) => status === 'active');
  const tlsCaPems = active.filter(({ kind }) => kind === 'tls').map((one) => one.text);
  const sshCaLines = active
    .filter(({ kind }) => kind === 'ssh')
    .map(({ cluster, text: line }) => knownHostsLine({ cluster, key: readAuthorizedKey(line) }));
  const keyPem = privateKeyPem(key);
  switch (args.format) {
    case 'openssh':
      return [
        ['', keyPem],
        ['-cert.pub', text(certs.ssh)],
      ];
    case 'tls':
      return [
        ['.key', keyPem],
        ['.crt', text(certs.tls)],
        // Whoever reads such a file believes all that is in it for everything: those of leafs are not for this cluster.
        [
          '.cas',
          active.flatMap((key) => (key.kind === 'tls' && key.cluster === ping.clusterName ? key.text : [])).join(''),
        ],
      ];
    default:
      return [
        [
          '',
          encodeIdentityFile({
            privateKeyPem: keyPem,
            sshCertLine: text(certs.ssh).trim(),
            tlsCertPem: text(certs.tls),
            sshCaLines,
            tlsCaPems,
          }),
        ],
      ];
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
