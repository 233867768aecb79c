/**
 * From a command's arguments to a person's own IAM identity: the one that flags name, else the stored one of the last
 * `tsh login --aws`, else whatever the SDK's default chain finds. Nothing is asked of AWS here.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { isAccountId, parseRoleArn } from '../../aws/arn.js';
import { CredentialCache } from '../../aws/credential-cache.js';
import { defaultRegion } from '../../aws/region.js';
import type { Env } from '../../cli/env.js';
import { printWarning } from '../../cli/output.js';
import { waitingFor } from '../../cli/progress.js';
import { createAwsLogins, type Principal } from '../../dbserver/aws-login.js';
import { TeleportError } from '../../errors.js';
import { readCertificateFile } from '../../pki/certificate-file.js';
import { type AwsIdentities, type AwsIdentity, fileName } from '../../profile/aws-identity.js';
import { pgServicePaths, profileBase } from '../../profile/paths.js';
import type { SecretStore } from '../../profile/secret.js';
import { openSecrets } from '../../profile/secret-store.js';
import type { Access } from '../access.js';
import type { AwsArgs, OpenArgs } from '../args.js';
import { isEndpoint, parseEndpoint } from '../endpoint.js';
import { AwsAccess } from './access.js';
import { awsFiles } from './files.js';
import { personalIdentities } from './identities.js';

/** @throws BadParameter for an endpoint, a region or a file that cannot be read */
export async function openAws(env: Env, args: OpenArgs): Promise<Access> {
  const base = profileBase(env.vars, env.home);
  const identities = personalIdentities(env);
  const asked = { ...args, awsProfile: args.awsProfile || endpointProfile(args) };
  const identity = await storedIdentity(identities, asked, env);
  const principal = principalOf(env, asked, identity);
  const onlyRegions = asked.region?.length ? [...new Set(asked.region)] : undefined;
  const caFile = asked.caFile ? resolve(env.cwd, asked.caFile) : identity?.caFile;
  const secrets = once(() =>
    openSecrets(identity?.credentialStore ?? 'file', base, { signal: env.signal, vars: env.vars }),
  );
  // Without a login nobody has said who this is: then nothing is kept for the next command.
  const storage = identity && credentialStorage(identity, identities, secrets, env.now);
  const warn = (text: string) => printWarning(env, text);
  const cache = new CredentialCache({ now: env.now, warn, ...(storage ? { storage } : {}) });
  return new AwsAccess({
    name: identity?.name ?? principal.profile ?? 'aws',
    identity,
    identities,
    principal,
    regions: once(async () => {
      if (onlyRegions) return onlyRegions;
      if (identity?.regions.length) return identity.regions;
      return [await defaultRegion(principal.profile)];
    }),
    onlyRegions,
    logins: createAwsLogins(cache, principal),
    caPem: caFile ? readCertificateFile(caFile, '--ca-file', CA_FILE_IS_KEPT).join('') : undefined,
    files: awsFiles({ base, servicePaths: pgServicePaths(env), folder: identities.folder, caFile, secrets, warn }),
    log: env.log,
    vars: env.vars,
    warn,
    waitingFor: (what, work) => waitingFor(env, what, work),
  });
}

/** Where the secrets of one AWS login are. */
export function secretsFolder(identityName: string): string {
  return `aws/${fileName(identityName)}`;
}

/** The name under which a login with these flags is stored: `PROFILE`, `PROFILE+ROLE`. */
export function identityName(args: AwsArgs, vars: Record<string, string | undefined>): string {
  const profile = args.awsProfile || vars.AWS_PROFILE || 'default';
  return args.assumeRole ? `${profile}+${args.assumeRole.replace(/^.*\//, '')}` : profile;
}

/** Variables by which the SDK's default chain finds somebody else's credentials. */
const SOURCES = [
  'AWS_PROFILE',
  'AWS_ACCESS_KEY_ID',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_CONFIG_FILE',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
] as const;

/** Where `aws configure` writes keys: after that they may be somebody else's. */
function sharedFiles({ home, vars }: Env): string[] {
  const { AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE } = vars;
  return [
    AWS_SHARED_CREDENTIALS_FILE || join(home, '.aws', 'credentials'),
    AWS_CONFIG_FILE || join(home, '.aws', 'config'),
  ];
}

/** Undefined where nothing can be read: the SDK says what is wrong when it needs the file. */
function changedAt(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  } catch {
    return undefined;
  }
}

/** Rights of the flags, or of what was stored. */
export function principalOf(env: Env, args: AwsArgs, identity?: AwsIdentity): Principal {
  const role = args.assumeRole || identity?.assumeRole;
  const externalId = args.externalId || identity?.externalId;
  if (role && !isAccountId(parseRoleArn(role)?.accountId ?? '')) {
    throw new TeleportError('BadParameter', `--assume-role: ${JSON.stringify(role)} is not the ARN of an IAM role`, {
      hint: 'It looks like arn:aws:iam::123456789012:role/NAME.',
    });
  }
  if (externalId && !role) {
    throw new TeleportError('BadParameter', '--external-id is for a role that is assumed', {
      hint: 'Name the role as well: --assume-role=arn:aws:iam::ACCOUNT:role/NAME',
    });
  }
  return {
    asker: 'person',
    profile: args.awsProfile || identity?.awsProfile || env.vars.AWS_PROFILE || undefined,
    source: createHash('sha256')
      .update(JSON.stringify([SOURCES.map((name) => env.vars[name]), sharedFiles(env).map(changedAt)]))
      .digest('hex'),
    chain: role ? [{ roleArn: role, sessionName: sessionName(env), ...(externalId ? { externalId } : {}) }] : [],
    identity: identity && { arn: identity.arn, accountId: identity.accountId },
  };
}

/** What CloudTrail shows behind the role's name; the same at every login, so that one stays the same identity. */
function sessionName({ vars }: Env): string {
  const user = vars.AWS_ROLE_SESSION_NAME || `tsh-${vars.USER || vars.LOGNAME || userInfo().username}`;
  return user.replace(/[^\w+=,.@-]/g, '-').slice(0, 64);
}

/** The login that the flags name, else the last one; undefined when there was none. */
async function storedIdentity(
  identities: AwsIdentities,
  args: AwsArgs,
  { vars }: Env,
): Promise<AwsIdentity | undefined> {
  const profile = args.awsProfile || vars.AWS_PROFILE || '';
  if (!args.awsProfile && !args.assumeRole) {
    const name = (await identities.lastName()) ?? (await identities.list())[0]?.name;
    const last = name === undefined ? undefined : await identities.read(name);
    // AWS_PROFILE picks as the flag does, but says nothing about roles.
    if (!vars.AWS_PROFILE || last?.awsProfile === profile) return last;
  }
  const all = await identities.list();
  return all.find(
    (one) =>
      (one.awsProfile ?? '') === profile &&
      (one.assumeRole ?? '') === (args.assumeRole ?? '') &&
      (one.externalId ?? '') === (args.externalId ?? one.externalId ?? ''),
  );
}

/** `Profile=` of pasted JDBC URLs. @throws BadParameter when they name more than one: a command has one identity */
function endpointProfile({ db, dbs = [] }: OpenArgs): string | undefined {
  const profiles = [db, ...dbs].flatMap((one) => (isEndpoint(one) ? (parseEndpoint(one).profile ?? []) : []));
  const [profile, ...others] = new Set(profiles);
  if (others.length === 0) return profile;
  throw new TeleportError('BadParameter', `the URLs name several AWS profiles: ${[profile, ...others].join(', ')}`, {
    hint: 'Name one for all with --aws-profile, or run a command for each.',
  });
}

function credentialStorage(
  { name, arn }: AwsIdentity,
  identities: AwsIdentities,
  secrets: () => Promise<SecretStore>,
  now: () => Date,
) {
  const account = (key: string) => `${secretsFolder(name)}/${key}`;
  return {
    read: async (key: string) => await (await secrets()).get(account(key)),
    async write(key: string, text: string) {
      // A proxy outlives `tsh logout`, which leaves nothing.
      if ((await identities.read(name))?.arn !== arn) return;
      const store = await secrets();
      await store.set(account(key), text);
      await sweep(store, secretsFolder(name), now);
    },
    delete: async (key: string) => void (await (await secrets()).delete(account(key))),
  };
}

/** Longer than any password lives: what has ended by then has ended by every clock. */
const SWEEP_AFTER_MS = 3_600_000;

/** Passwords are kept under names that nobody may ever ask for again, so the dead ones go when a new one comes. */
async function sweep(store: SecretStore, folder: string, now: () => Date): Promise<void> {
  for (const account of await store.list(folder)) {
    if (!/\/[0-9a-f]{64}$/.test(account)) continue;
    const end = Date.parse(/"expiresAt":"([^"]+)"/.exec((await store.get(account)) ?? '')?.[1] ?? '');
    if (!(end + SWEEP_AFTER_MS > now().getTime())) await store.delete(account);
  }
}

const CA_FILE_IS_KEPT = 'A login remembers it: tsh login --aws --ca-file=FILE';

/** The result of the first call, for all that follow. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
