/**
 * A local client's connection to a Redshift database, entered with a person's own IAM identity.
 *
 *     client                        here                                            Redshift
 *       SSLRequest ───────────────▶
 *       ◀─────────────────────── N
 *       StartupMessage ───────────▶ password from AWS, or the one still good
 *                                   TCP, SSLRequest, TLS (chain and name verified), login ──▶
 *       ◀── AuthenticationOk, BackendKeyData, ParameterStatus…, ReadyForQuery
 *       ◀───────────────────────────────── bytes both ways ──────────────────────▶
 *
 * Client TLS: the client's own TLS and login go through to Redshift, copied as they are.
 *
 * A CancelRequest goes over a connection of its own, verified as well, and never asks AWS.
 */

import { Duplex, PassThrough } from 'node:stream';
import { type ConnectContext, connectDatabase, dialDatabase } from '../../dbserver/connect.js';
import { messageOf, TeleportError } from '../../errors.js';
import { cancelKeys } from '../../localproxy/cancel-keys.js';
import { createClients } from '../../localproxy/clients.js';
import { unknownPeer } from '../../localproxy/peer.js';
import type { Logger } from '../../log.js';
import { dialTcp } from '../../net/dial.js';
import { hangUp } from '../../net/hang-up.js';
import { encodeReady, negotiation, plainStartup, readStartup } from '../../pg/backend.js';
import { cancel } from '../../pg/frontend.js';
import { encodeError } from '../../pg/sqlstate.js';
import type { StartupMessage } from '../../pg/startup.js';
import { splitUri } from '../../resources/database-uri.js';
import { shellWord } from '../../shell-word.js';
import type { Connector, Route } from '../access.js';

/** How long a client may take for its first packet: a GUI may keep a connection ready. */
const FIRST_PACKET_TIMEOUT_MS = 60_000;
const DIAL_TIMEOUT_MS = 30_000;

export interface AwsConnectorOptions {
  route: Route;
  /** Whom AWS made the password for. */
  dbUser: string;
  context: ConnectContext;
  log: Logger;
  clientTls?: boolean | undefined;
  /** Told when the connector is closed. */
  onClose?: () => void;
}

export function awsConnector({ route, dbUser, context, log, clientTls, onClose }: AwsConnectorOptions): Connector {
  const clients = createClients({ isPlain: !clientTls });
  const { track } = clients;
  /** As the user of the route; another database of the same cluster may be asked for. */
  const enter = async (startup: StartupMessage) => {
    const { parameters } = plainStartup(startup);
    checkUser(parameters.get('user'), route, dbUser);
    const { database, dbName, autoCreate, dbGroups } = route;
    const asked = parameters.get('database') || dbName;
    const options = { database, dbUser: route.dbUser, dbName: asked, autoCreate, dbGroups };
    const entered = await connectDatabase(context, { ...options, startupParameters: parameters });
    track(entered.socket);
    return entered;
  };
  const dialForCancel = async () => track(await dialDatabase(context, route.database, route.dbUser));
  const keys = cancelKeys(dialForCancel, log);
  const serve = async (client: Duplex, onlyCancel: boolean) => {
    if (clientTls) {
      const [host, port] = splitUri(route.database.spec.uri);
      return await clients.join(client, track(await dialTcp({ host, port, timeoutMs: DIAL_TIMEOUT_MS })));
    }
    const { message, duplex } = await readStartup(client, { timeoutMs: FIRST_PACKET_TIMEOUT_MS });
    if (onlyCancel && !(message.type === 'CancelRequest' && keys.has(message))) throw unknownPeer();
    if (message.type === 'CancelRequest') {
      await cancel(await dialForCancel(), message, { address: route.database.spec.uri });
      return hangUp(client);
    }
    const entered = await enter(message);
    if (client.destroyed) return void entered.socket.destroy();
    const { parameters, backendKey, txStatus } = entered.loggedIn;
    using _key = keys.add(backendKey);
    duplex.write(encodeReady({ parameters, backendKey, txStatus, negotiate: negotiation(message) }));
    await clients.join(duplex, entered.socket);
  };
  return {
    dbUser,
    async serve(client, { onlyCancel = false } = {}) {
      clients.take(client);
      try {
        await serve(client, onlyCancel);
      } catch (error) {
        log.debug('Local connection failed.', { error: messageOf(error) });
        hangUp(client, clientTls ? undefined : encodeError(error));
      }
    },
    async open() {
      const [up, down] = [new PassThrough(), new PassThrough()];
      void this.serve(Duplex.from({ readable: up, writable: down }));
      return track(Duplex.from({ readable: down, writable: up }));
    },
    cancelAll: () => keys.cancelAll(),
    async [Symbol.asyncDispose]() {
      onClose?.();
      await clients.close();
    },
  };
}

/**
 * AWS has made the password for one user: whoever asks for another must not believe to be that one. A client that names
 * nobody is the user of the route.
 *
 * @param dbUser  the same user as AWS calls it
 */
function checkUser(asked: string | undefined, route: Route, dbUser: string): void {
  if (!asked || asked === route.dbUser || asked === dbUser) return;
  const own = route.dbUser || dbUser;
  const { name } = route.database.metadata;
  throw new TeleportError('AccessDenied', `this connection is for database user ${JSON.stringify(own)} only`, {
    hint: `Connect as that user (psql: -U ${shellWord(own)}). For another one: tsh db connect ${shellWord(name)} --db-user=NAME`,
  });
}
