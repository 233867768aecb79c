/**
 * `tsh status`, and the block that a login ends with: whose sessions there are, what they allow, until when. Everything is
 * read from disk, no secret among it; the cluster is only asked for alerts, and not for long. Spec: cli.md 3.5.
 */
import { currentSession, personalStore } from '../access/login/session.js';
import type { Env } from '../cli/env.js';
import { formatDurationMs, printJson, printLine, printYaml, timeText } from '../cli/output.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { profileBase, userPaths } from '../profile/paths.js';
import type { CredentialStoreKind } from '../profile/secret.js';
import { type LoginSession, openSession, sessionOf } from '../profile/session.js';
import type { ProfileStore, StoredDatabase } from '../profile/store.js';
import type { GlobalArgs } from './flags.js';
import { type AwsStatus, awsRecord, awsStatus, NO_AWS, printAwsIdentities } from './status-aws.js';
import { type Fact, printBlock } from './status-block.js';

export interface StatusArgs extends GlobalArgs {
  format: 'text' | 'json' | 'yaml';
  verbose: boolean;
}

/** Variables that change what a command does, in the order in which they are shown. */
const ENVIRONMENT = ['TELEPORT_PROXY', 'TELEPORT_CLUSTER', 'TELEPORT_SITE', 'TELEPORT_KUBE_CLUSTER', 'KUBECONFIG'];
/** All that the alerts may cost. */
const ALERTS_TIMEOUT_MS = 750;

export async function run(env: Env, args: StatusArgs): Promise<void> {
  const store = personalStore(env);
  const active = await activeSession(env, args, store);
  const aws = args.identity ? NO_AWS : await awsStatus(env);
  if (active === undefined && aws.identities.length === 0) throw new TeleportError('NotFound', 'Not logged in.');
  await printStatus(env, args, active, active ? await otherSessions(store, active.name) : [], aws);
  if (active === undefined) return;
  if (!isLive(active, env.now())) throw new TeleportError('AccessDenied', 'Active profile expired.');
  // Asking for alerts takes the key, and a keychain may ask the person for a password: not for a look at the status.
  if ((await active.store.credentialStore(active.name)) === 'keychain') return;
  const { printAlerts } = await import('./alerts.js');
  await printAlerts(env, active, {
    severity: 'high',
    insecure: args.insecure,
    timeoutMs: ALERTS_TIMEOUT_MS,
  });
}

/** Print the profiles as `format` says. */
export async function printStatus(
  env: Env,
  args: { format: 'text' | 'json' | 'yaml'; verbose: boolean },
  active: LoginSession | undefined,
  others: readonly LoginSession[],
  aws: AwsStatus = NO_AWS,
): Promise<void> {
  const sessions = active ? [active, ...others] : others;
  const profiles = await Promise.all(sessions.map((session) => describe(env, session)));
  if (args.format !== 'text') {
    const environment = environmentOf(env);
    const value = {
      active: profiles[0] ? recordOf(profiles[0]) : null,
      profiles: profiles.slice(1).map(recordOf),
      ...(aws.identities.length > 0 ? { aws: aws.identities.map((one) => awsRecord(one, aws.current)) } : {}),
      ...(Object.keys(environment).length > 0 ? { environment } : {}),
    };
    return args.format === 'json' ? printJson(env, value) : await printYaml(env, value);
  }
  profiles.forEach((profile, i) => {
    printSession(env, profile, { isActive: i === 0 && aws.current === undefined, verbose: args.verbose });
  });
  printAwsIdentities(env, aws.identities, aws.current);
  if (args.verbose && Object.keys(environmentOf(env)).length > 0) {
    printLine(env, 'Active Environment:');
    for (const [name, value] of Object.entries(environmentOf(env))) printLine(env, `\t${name}=${value}`);
    printLine(env);
  }
}

/** Sessions of all profiles but one; what cannot be read is left out. */
export async function otherSessions(store: ProfileStore, but: string): Promise<LoginSession[]> {
  const sessions: LoginSession[] = [];
  for (const name of await store.names()) {
    if (name === but) continue;
    const profile = await store.readProfile(name).catch(() => undefined);
    const session = profile && (await sessionOf(store, name, profile).catch(() => undefined));
    if (session?.certs) sessions.push(session);
  }
  return sessions;
}

/** True when the certificates can be used now. */
export function isLive(session: LoginSession, now: Date): boolean {
  return session.facts !== undefined && session.facts.expiresAt > now;
}

async function activeSession(env: Env, args: StatusArgs, store: ProfileStore): Promise<LoginSession | undefined> {
  try {
    const session = args.identity
      ? await currentSession(env, args)
      : await openSession(store, { proxy: args.proxy || undefined });
    return session.certs && !session.certs.sshCert ? undefined : session;
  } catch (error) {
    if (args.identity) throw error;
    if (isTeleportError(error, 'NotFound') || (await store.currentName()) === undefined) return undefined;
    throw error;
  }
}

interface Described {
  session: LoginSession;
  credentialStore: CredentialStoreKind;
  secrets: Secret[];
  cluster: string;
  clusterFrom: string | undefined;
  databases: string[];
  validUntil: Date;
  now: Date;
}

async function describe(env: Env, session: LoginSession): Promise<Described> {
  const { store, name, user, profile } = session;
  const home = profile.cluster ?? session.cluster;
  const databases = await store.databases(name, user, home, env.now());
  const clusterFrom = ['TELEPORT_CLUSTER', 'TELEPORT_SITE'].find((variable) => env.vars[variable]);
  return {
    session,
    credentialStore: await store.credentialStore(name),
    secrets: secretsOf(env, session, home, databases),
    cluster: clusterFrom ? env.vars[clusterFrom]! : session.cluster,
    clusterFrom,
    databases: databases.map((database) => database.name),
    validUntil: session.facts?.expiresAt ?? env.now(),
    now: env.now(),
  };
}

/** With an identity file it is off: nobody selected a cluster of Kubernetes for a program. */
function hasKubernetes({ profile, store }: LoginSession): boolean {
  return Boolean(profile.kubeProxyAddr) && !store.isVirtual;
}

/** A private key, and the file or the entry of the keychain (its account) that holds it. */
interface Secret {
  name: string;
  place: string;
}

/** Nothing of this is read: what is shown is where a command would look. */
function secretsOf(
  env: Env,
  { store, name, user, certs }: LoginSession,
  cluster: string,
  databases: StoredDatabase[],
): Secret[] {
  if (store.isVirtual || certs === undefined) return [];
  const paths = userPaths(profileBase(env.vars, env.home), name, user);
  const found: [string, string][] = [
    ['tls', paths.tlsKey],
    ['ssh', paths.sshKey],
    ...databases.map((one): [string, string] => [`db/${one.name}`, paths.dbKey(cluster, one.name)]),
  ];
  return found.map(([secret, place]) => ({ name: secret, place }));
}

function printSession(env: Env, described: Described, args: { isActive: boolean; verbose: boolean }): void {
  const { isActive, verbose } = args;
  const { session, credentialStore, secrets, databases, validUntil, now } = described;
  const { facts, profile, user } = session;
  const cluster = isActive ? described.cluster : session.cluster;
  const from = isActive && described.clusterFrom ? ` (${described.clusterFrom})` : '';
  const block: Fact[] = [
    ['Profile URL:', `https://${profile.webProxyAddr}`],
    ['Logged in as:', user],
    ['Active requests:', (facts?.activeRequests ?? []).join(', '), true],
    ['Cluster:', `${cluster}${from}`],
    ['Roles:', (facts?.roles ?? []).join(', ')],
    ['Logins:', (facts?.logins ?? []).join(', '), true],
    ['Kubernetes:', hasKubernetes(session) ? 'enabled' : 'disabled'],
    ['Databases:', databases.join(', '), true],
    ['GitHub username:', facts?.github?.login ?? '', true],
    ['Allowed Resources:', facts?.allowedResources.length ? JSON.stringify(facts.allowedResources) : '', true],
    ['Valid until:', `${goTime(validUntil)} [${left(validUntil, now)}]`],
    ['Extensions:', (facts?.extensions ?? []).join(', '), true],
    ['Credential store:', secrets.length > 0 && (verbose || credentialStore !== 'file') ? credentialStore : '', true],
    ...(verbose ? secrets.map(({ name, place }): Fact => [`  ${name} key:`, place]) : []),
  ];
  printBlock(env, block, isActive);
}

function recordOf({
  session,
  credentialStore,
  secrets,
  cluster,
  databases,
  validUntil,
}: Described): Record<string, unknown> {
  const { facts, profile, user } = session;
  const list = (name: string, values: readonly string[] | undefined) => (values?.length ? { [name]: values } : {});
  const traits = Object.entries(facts?.traits ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    profile_url: `https://${profile.webProxyAddr}`,
    username: user,
    ...list('active_requests', facts?.activeRequests),
    cluster,
    ...list('roles', facts?.roles),
    ...(traits.length > 0 ? { traits: Object.fromEntries(traits) } : {}),
    ...list('logins', facts?.logins),
    kubernetes_enabled: hasKubernetes(session),
    ...list('databases', databases),
    valid_until: timeText(validUntil),
    ...list('extensions', facts?.extensions),
    ...(facts?.github ? { github_identity: { UserID: facts.github.id, Username: facts.github.login } } : {}),
    ...(Object.keys(facts?.criticalOptions ?? {}).length > 0 ? { critical_options: facts!.criticalOptions } : {}),
    ...(facts?.allowedResources.length ? { allowed_resources: facts.allowedResources.map(resourceRecord) } : {}),
    // Our own keys; programs that read the real one's answer skip what they do not know.
    ...(secrets.length > 0 ? { credential_store: credentialStore, secrets } : {}),
  };
}

/** `/cluster/kind/name` in its parts. */
function resourceRecord(text: string): Record<string, string> {
  const [, cluster = '', kind = '', name = '', ...rest] = text.split('/');
  return { cluster, kind, name, ...(rest.length > 0 ? { sub_resource: rest.join('/') } : {}) };
}

function environmentOf(env: Env): Record<string, string> {
  return Object.fromEntries(ENVIRONMENT.flatMap((name) => (env.vars[name] ? [[name, env.vars[name]]] : [])));
}

/** A moment as Go prints it, in UTC. */
function goTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** `valid for 11h59m`, `valid for <1m`, `EXPIRED`. */
function left(until: Date, now: Date): string {
  const ms = until.getTime() - now.getTime();
  if (ms <= 0) return 'EXPIRED';
  if (ms < 60_000) return 'valid for <1m';
  return `valid for ${formatDurationMs(ms - (ms % 60_000)).replace(/0s$/, '')}`;
}
