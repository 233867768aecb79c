/**
 * Redshift databases entered with a person's own IAM identity, without a cluster: found by asking AWS in each region, or
 * taken from a pasted endpoint; temporary passwords are made by AWS when they are needed, kept while they are good.
 *
 * Source: Amazon Redshift's "Using IAM authentication to generate database user credentials".
 */
import type { DatabaseCredential } from '../../aws/credential-cache.js';
import type { AwsLogins } from '../../dbserver/aws-login.js';
import type { ConnectContext } from '../../dbserver/connect.js';
import { messageOf, TeleportError } from '../../errors.js';
import { amazonRoots } from '../../net/roots.js';
import type { AwsIdentity, StoredAwsDatabase } from '../../profile/aws-identity.js';
import { isRoleUser } from '../../resources/database-user.js';
import type { Database } from '../../resources/types.js';
import type {
  Access,
  AccessibleDatabase,
  ActiveDatabase,
  ConnectionInfo,
  Connector,
  ConnectorOptions,
  DatabaseFilter,
  Route,
  RouteRequest,
} from '../access.js';
import { awsConnector } from './connector.js';
import type { AwsContext } from './context.js';
import { activeOf, checkAvailable, ofRoute, ofStored } from './database.js';
import { AwsSearch } from './search.js';

/** The database that every cluster and workgroup has unless somebody said otherwise. */
const DEFAULT_DATABASE = 'dev';

export class AwsAccess implements Access {
  readonly clusterName: string;
  readonly place: string;
  readonly proxyAddress = 'aws';
  readonly #context: AwsContext;
  readonly #search: AwsSearch;

  constructor(context: AwsContext) {
    this.clusterName = context.name;
    this.place = `AWS profile "${context.name}"`;
    this.#context = context;
    this.#search = new AwsSearch(context);
  }

  async active(): Promise<ActiveDatabase[]> {
    return (await this.#stored()).map(activeOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  databases(filter: DatabaseFilter, options: { names?: string[] } = {}): Promise<AccessibleDatabase[]> {
    return this.#search.databases(filter, options);
  }

  async route(found: AccessibleDatabase, request: RouteRequest): Promise<Route> {
    const { name } = found.database.metadata;
    const { caPem } = this.#context;
    const one = await this.#storedNamed(name);
    // Another cluster may have the same name, in another region or as a workgroup.
    const kept = one && ['', one.uri].includes(found.database.spec.uri) ? one : undefined;
    const database = found.database.spec.uri === '' && kept ? ofStored(kept, caPem) : found.database;
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
  }

  async login(route: Route): Promise<void> {
    this.#requireLogin('tsh db login');
    await this.#login(route);
  }

  async logout(names: string[]): Promise<void> {
    const { identity, identities, logins, files } = this.#context;
    if (!identity) return;
    for (const one of (await this.#stored()).filter(({ name }) => names.includes(name))) {
      await logins.forget(ofStored(one, undefined), one);
    }
    // What is remembered goes last: after a break it tells what is left to remove.
    await files.remove(identity.name, names);
    await identities.changeDatabases(identity.name, (all) => all.filter(({ name }) => !names.includes(name)));
  }

  hasKeyFiles(): Promise<boolean> {
    return this.#context.files.arePossible();
  }

  async connectionInfo(name: string): Promise<ConnectionInfo> {
    const { name: login, caPem, files } = this.#context;
    const one = await this.#storedNamed(name);
    if (!one) throw new TeleportError('NotFound', `not logged into database "${name}"`);
    return await files.write(login, one, await this.#asked(ofStored(one, caPem), one));
  }

  async connector(route: Route, { clientTls }: ConnectorOptions = {}): Promise<Connector> {
    // Asked for before a client comes: what AWS refuses is reported here, by us and with the next step.
    const credential = clientTls ? await this.#login(route) : await this.#asked(route.database, route);
    const renewing = clientTls ? renewFile(this.#renewalOf(route, credential), this.#context) : undefined;
    return awsConnector({
      route,
      dbUser: credential.user,
      context: this.#connectContext(),
      log: this.#context.log,
      clientTls,
      ...(renewing ? { onClose: renewing } : {}),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Names of this process's own changes are seen at once. */
  async #stored(): Promise<StoredAwsDatabase[]> {
    const { identity, identities, onlyRegions } = this.#context;
    const all = identity ? ((await identities.read(identity.name))?.databases ?? []) : [];
    return all.filter(({ aws }) => onlyRegions === undefined || onlyRegions.includes(String(aws.region)));
  }

  async #storedNamed(name: string): Promise<StoredAwsDatabase | undefined> {
    return (await this.#stored()).find((one) => one.name === name);
  }

  /** For all connections of one connector: finding Amazon's among all roots takes a while. */
  #connectContext(): ConnectContext {
    return {
      aws: this.#context.logins,
      checker: 'tsh',
      vars: this.#context.vars,
      amazonRoots: this.#context.caPem ? [] : amazonRoots(),
      clientCertificates: {
        get: () => Promise.reject(new TeleportError('BadParameter', 'only Redshift databases can be entered with IAM')),
      },
    };
  }

  #requireLogin(what: string): AwsIdentity {
    const { identity } = this.#context;
    if (identity) return identity;
    throw new TeleportError('BadParameter', `${what} needs a login that can be remembered`, {
      hint: 'Log in first: tsh login --aws',
    });
  }

  async #remember(route: Route): Promise<StoredAwsDatabase> {
    const { name } = this.#requireLogin('tsh db login');
    const one = ofRoute(route);
    const changed = (all: StoredAwsDatabase[]) => [...all.filter((other) => other.name !== one.name), one];
    await this.#context.identities.changeDatabases(name, changed);
    return one;
  }

  /** The temporary password, with a word to the person while AWS takes its time. */
  #asked(...[database, who]: Parameters<AwsLogins['credential']>): Promise<DatabaseCredential> {
    return this.#context.waitingFor('AWS', this.#context.logins.credential(database, who));
  }

  /** Stored and made known to other programs. */
  async #login(route: Route): Promise<DatabaseCredential> {
    const { name, files } = this.#context;
    const credential = await this.#asked(route.database, route);
    const one = await this.#remember(route);
    if (await files.arePossible()) await files.write(name, one, credential);
    return credential;
  }

  /** @returns what writes the next password of a route into its file, for as long as the login to it lasts */
  #renewalOf(route: Route, first: DatabaseCredential): () => Promise<void> {
    const { name, logins, files } = this.#context;
    let { password } = first;
    return async () => {
      const one = await this.#storedNamed(route.database.metadata.name);
      if (!one) return;
      const credential = await logins.credential(route.database, route);
      // Asking takes a while, and whoever logged out meanwhile wants nothing left.
      if (credential.password === password || !(await this.#storedNamed(one.name))) return;
      await files.write(name, one, credential);
      password = credential.password;
    };
  }
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
