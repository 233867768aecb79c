/**
 * Redshift databases entered with a person's own IAM identity, without a cluster: found by asking AWS in each region, or
 * taken from a pasted endpoint; temporary passwords are made by AWS when they are needed, kept while they are good.
 *
 * Source: Amazon Redshift's "Using IAM authentication to generate database user credentials".
 */
import type { DatabaseCredential } from '../../aws/credential-cache.js';
import type { AwsLogins, Principal } from '../../dbserver/aws-login.js';
import type { ConnectContext } from '../../dbserver/connect.js';
import { messageOf, TeleportError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { amazonRoots } from '../../net/roots.js';
import type { AwsDatabase, AwsIdentities, AwsIdentity } from '../../profile/aws-identity.js';
import { isRoleUser } from '../../resources/database-user.js';
import type { Database } from '../../resources/types.js';
import type { Access, ConnectionInfo, Connector, Route, RouteRequest } from '../access.js';
import { awsConnector } from './connector.js';
import { activeOf, checkAvailable, ofRoute, ofStored } from './database.js';
import type { AwsFiles } from './files.js';
import { awsSearch } from './search.js';

export interface AwsContext {
  /** Of the login, or what stands for it when there is none. */
  name: string;
  /** What `tsh login --aws` stored. */
  identity: AwsIdentity | undefined;
  identities: AwsIdentities;
  principal: Principal;
  regions(): Promise<string[]>;
  /** Given with the command: a database of the same name elsewhere is not meant. */
  onlyRegions: readonly string[] | undefined;
  logins: AwsLogins;
  /** Who signs the databases' certificates, PEM; absent: Amazon. */
  caPem: string | undefined;
  files: AwsFiles;
  log: Logger;
  warn: (text: string) => void;
  waitingFor<T>(what: string, work: Promise<T>): Promise<T>;
}

/** The database that every cluster and workgroup has unless somebody said otherwise. */
const DEFAULT_DATABASE = 'dev';

export function awsAccess(context: AwsContext): Access {
  const { identity, logins, files } = context;
  const isMeant = ({ aws }: AwsDatabase) =>
    context.onlyRegions === undefined || context.onlyRegions.includes(String(aws.region));
  /** Names of this process's own changes are seen at once. */
  const stored = async (): Promise<AwsDatabase[]> =>
    identity ? ((await context.identities.read(identity.name))?.databases ?? []).filter(isMeant) : [];
  const storedNamed = async (name: string) => (await stored()).find((one) => one.name === name);

  /** For all connections of one connector: finding Amazon's among all roots takes a while. */
  const connectContext = (): ConnectContext => ({
    aws: logins,
    checker: 'tsh',
    amazonRoots: context.caPem ? [] : amazonRoots(),
    clientCertificates: {
      get: () => Promise.reject(new TeleportError('BadParameter', 'only Redshift databases can be entered with IAM')),
    },
  });

  const requireLogin = (what: string): AwsIdentity => {
    if (identity) return identity;
    throw new TeleportError('BadParameter', `${what} needs a login that can be remembered`, {
      hint: 'Log in first: tsh login --aws',
    });
  };

  const remember = async (route: Route): Promise<AwsDatabase> => {
    const { name } = requireLogin('tsh db login');
    const one = ofRoute(route);
    await context.identities.changeDatabases(name, (all) => [...all.filter((other) => other.name !== one.name), one]);
    return one;
  };

  /** Stored and made known to other programs. */
  const login = async (route: Route) => {
    const credential = await context.waitingFor('AWS', logins.credential(route.database, route));
    const one = await remember(route);
    if (await files.arePossible()) await files.write(context.name, one, credential);
    return credential;
  };

  /** @returns what writes the next password of a route into its file, for as long as one is logged into it */
  const renewalOf = (route: Route, first: DatabaseCredential) => {
    let { password } = first;
    return async () => {
      const one = await storedNamed(route.database.metadata.name);
      if (!one) return;
      const credential = await logins.credential(route.database, route);
      // Asking takes a while, and whoever logged out meanwhile wants nothing left.
      if (credential.password === password || !(await storedNamed(one.name))) return;
      await files.write(context.name, one, credential);
      password = credential.password;
    };
  };

  return {
    clusterName: context.name,
    place: `AWS profile "${context.name}"`,
    proxyAddress: 'aws',
    active: async () => (await stored()).map(activeOf).sort((a, b) => (a.name < b.name ? -1 : 1)),
    databases: awsSearch(context),

    async route(found, request) {
      const { name } = found.database.metadata;
      const one = await storedNamed(name);
      // Another cluster may have the same name, in another region or as a workgroup.
      const kept = one && ['', one.uri].includes(found.database.spec.uri) ? one : undefined;
      const database = found.database.spec.uri === '' && kept ? ofStored(kept, context.caPem) : found.database;
      checkAvailable(database);
      const { suggested } = found;
      const autoCreate = request.autoCreate || suggested?.autoCreate || kept?.autoCreate;
      const dbGroups = request.dbGroups ?? suggested?.dbGroups ?? kept?.dbGroups;
      if (request.dbRoles?.length) {
        throw new TeleportError('BadParameter', '--db-roles is for clusters', {
          hint: 'With --aws, groups are given with --db-groups, and an IAM role with --db-user=role/NAME.',
        });
      }
      const dbUser = request.dbUser || kept?.dbUser || suggested?.dbUser || '';
      checkPlainUser(database, dbUser, request);
      return {
        database,
        dbUser,
        dbName: request.dbName || kept?.dbName || suggested?.dbName || DEFAULT_DATABASE,
        dbRoles: [],
        isUserOptional: true,
        ...(autoCreate ? { autoCreate } : {}),
        ...(dbGroups?.length ? { dbGroups } : {}),
      };
    },

    async login(route) {
      requireLogin('tsh db login');
      await login(route);
    },

    async logout(names) {
      if (!identity) return;
      for (const one of (await stored()).filter(({ name }) => names.includes(name))) {
        await logins.forget(ofStored(one, undefined), one);
      }
      // What is remembered goes last: after a break it tells what is left to remove.
      await files.remove(identity.name, names);
      await context.identities.changeDatabases(identity.name, (all) => all.filter(({ name }) => !names.includes(name)));
    },

    hasKeyFiles: () => files.arePossible(),

    async connectionInfo(name): Promise<ConnectionInfo> {
      const one = await storedNamed(name);
      if (!one) throw new TeleportError('NotFound', `not logged into database "${name}"`);
      const credential = await context.waitingFor('AWS', logins.credential(ofStored(one, context.caPem), one));
      return await files.write(context.name, one, credential);
    },

    async connector(route, options = {}): Promise<Connector> {
      // Asked for before a client comes: what AWS refuses is told here, by us and with the next step.
      const credential = options.clientTls
        ? await login(route)
        : await context.waitingFor('AWS', logins.credential(route.database, route));
      const renewing = options.clientTls ? renewFile(renewalOf(route, credential), context) : undefined;
      return awsConnector({
        route,
        dbUser: credential.user,
        context: connectContext(),
        log: context.log,
        clientTls: options.clientTls,
        ...(renewing ? { onClose: renewing } : {}),
      });
    },

    async [Symbol.asyncDispose]() {},
  };
}

/** How often a password file is looked at while a proxy that needs it runs: several times in a password's life. */
const RENEW_MS = 60_000;

/** @throws BadParameter for flags that only a plain user of a cluster has; in a pasted URL they are passed over */
function checkPlainUser({ spec }: Database, dbUser: string, { autoCreate, dbGroups }: RouteRequest): void {
  const flag = autoCreate ? '--auto-create' : dbGroups?.length ? '--db-groups' : undefined;
  if (flag === undefined || (spec.aws?.redshift?.cluster_id && dbUser !== '' && !isRoleUser(dbUser))) return;
  throw new TeleportError('BadParameter', `${flag} is for plain users of Redshift clusters`, {
    hint: 'Name one with --db-user. Users of IAM identities and of Redshift Serverless are made by AWS by itself.',
  });
}

/** Keep the password file good. @returns what ends it */
function renewFile(renew: () => Promise<void>, { log }: AwsContext): () => void {
  const timer = setInterval(() => {
    renew().catch((error: unknown) => log.warn('Cannot renew the password file.', { error: messageOf(error) }));
  }, RENEW_MS);
  timer.unref();
  return () => clearInterval(timer);
}
