/**
 * Certificates for the databases of a login: fetched from Auth (`issue.ts`), kept in the profile with what clients read (`db login`) or
 * in memory (`--tunnel`, `db exec`), and renewed before they end.
 *
 * Source: login-and-profile.md 8, auth-grpc-and-routing.md 3.1.
 */
import type { Env } from '../../cli/env.js';
import { printWarning } from '../../cli/output.js';
import { activeDatabase } from '../../profile/active-database.js';
import { pgServicePath, pgServicePaths } from '../../profile/paths.js';
import { deletePgServices, pgServiceName, putPgService } from '../../profile/pg-service-file.js';
import type { DatabaseKeys, StoredDatabase } from '../../profile/store.js';
import type { ConnectionInfo, ConnectorOptions, Route } from '../access.js';
import type { Login } from '../login/login.js';
import { postgresAddress } from './dial.js';
import { issueCertificate, REQUESTER } from './issue.js';

export class DatabaseCertificates {
  readonly #env: Env;
  readonly #login: Login;

  constructor(env: Env, login: Login) {
    this.#env = env;
    this.#login = login;
  }

  /**
   * The keys for connections on a route: the stored ones where they fit, else new ones, fetched before this returns.
   *
   * @param kept  what is stored for this database
   * @returns the keys that are good at the time of each call
   */
  async keysFor(
    route: Route,
    kept: StoredDatabase | undefined,
    options: ConnectorOptions,
  ): Promise<() => Promise<DatabaseKeys>> {
    const requester = options.isExec ? REQUESTER.dbExec : REQUESTER.localProxyTunnel;
    const fetch = () => (options.inMemory ? issueCertificate(this.#login, route, requester) : this.save(route));
    const first = (kept && isFor(kept, route) ? await this.#keysOf(kept) : undefined) ?? (await fetch());
    // A client that brings its own certificate would not see a new one: then nothing is renewed.
    return options.clientTls ? async () => first : this.#renewed(first, fetch);
  }

  /** Fetch and store a certificate, and write what other programs read. */
  async save(route: Route): Promise<DatabaseKeys> {
    const keys = await issueCertificate(this.#login, route, REQUESTER.none);
    const { store, name, user, cluster } = this.#login.session;
    const database = route.database.metadata.name;
    await store.saveDatabase(name, user, cluster, database, keys);
    // An identity file is for one program: nothing of it is kept for others.
    if (store.isVirtual || !(await this.areFiles())) return keys;
    const { host, port, sslMode, caFile, certFile, keyFile } = this.connectionInfo(database);
    const service = {
      host,
      port,
      user: route.dbUser || undefined,
      dbName: route.dbName || undefined,
      sslMode,
      sslRootCert: caFile,
      sslCert: certFile,
      sslKey: keyFile,
    };
    const warn = (text: string) => printWarning(this.#env, text);
    await putPgService(pgServicePath(this.#env), pgServiceName(cluster, database), service, warn);
    return keys;
  }

  async remove(databases: string[]): Promise<void> {
    const { store, name, user, cluster } = this.#login.session;
    for (const database of databases) await store.deleteDatabase(name, user, cluster, database);
    const sections = databases.map((database) => pgServiceName(cluster, database));
    await deletePgServices(pgServicePaths(this.#env), sections, (text) => printWarning(this.#env, text));
  }

  /** False when they are in the system keychain. */
  async areFiles(): Promise<boolean> {
    const { store, name } = this.#login.session;
    return (await store.credentialStore(name)) === 'file';
  }

  /** For clients that bring their own TLS. */
  connectionInfo(database: string) {
    const { session, isInsecure } = this.#login;
    const { store, name, user, cluster, rootCluster } = session;
    const files = store.databasePaths(name, user, cluster, database, rootCluster);
    return {
      ...postgresAddress(session),
      caFile: files.ca,
      certFile: files.cert,
      keyFile: files.key,
      sslMode: isInsecure ? 'verify-ca' : 'verify-full',
    } satisfies ConnectionInfo;
  }

  /** Undefined when the key is gone: then there is a new one to be fetched. */
  async #keysOf({ name: database, certPem }: StoredDatabase): Promise<DatabaseKeys | undefined> {
    const { store, name, user, cluster } = this.#login.session;
    const keyPem = await store.databaseKey(name, user, cluster, database, certPem);
    return keyPem === undefined ? undefined : { keyPem, certPem };
  }

  /** The same keys until they are about to end, then fetched once for all who wait. */
  #renewed(first: DatabaseKeys, fetch: () => Promise<DatabaseKeys>): () => Promise<DatabaseKeys> {
    let current = first;
    let fetching: Promise<DatabaseKeys> | undefined;
    return async () => {
      if (activeDatabase(current.certPem, this.#env.now()) !== undefined) return current;
      fetching ??= fetch()
        .then((next) => {
          current = next;
          this.#env.log.debug('Database certificate renewed.');
          return next;
        })
        .finally(() => {
          fetching = undefined;
        });
      return await fetching;
    };
  }
}

function isFor(kept: StoredDatabase, route: Route): boolean {
  return (
    kept.dbUser === route.dbUser &&
    kept.dbName === route.dbName &&
    [...kept.dbRoles].sort().join() === [...route.dbRoles].sort().join()
  );
}
