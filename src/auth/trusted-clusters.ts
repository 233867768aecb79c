/**
 * At a leaf: the roots whose users may come. To make one is to exchange authorities with it; from then on only its role map
 * and whether it is on can change. Texts of refusals: as captured from 18.3.
 */

import { causesOf, messageOf, TeleportError } from '../errors.js';
import { couldShareNames, isRemoteName } from '../identity/remote.js';
import { checkRoleMap, fixedRoles } from '../rbac/role-map.js';
import { isSameCluster } from '../resources/cluster-name.js';
import { withDefaults } from '../resources/defaults.js';
import type { TrustedCluster } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { shellWord } from '../shell-word.js';
import { checkedAuthorities } from './checked-authorities.js';
import { recorded, type Said } from './recorded.js';
import type { RemoteChange } from './remote-authorities.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { remoteLocksKey } from './trust.js';
import { inTurn } from './turns.js';
import { nameOf, type Who } from './who.js';

/** @throws NotFound `trusted cluster "x" is not found` */
export async function getTrustedCluster(state: AuthState, who: Who, name: string): Promise<TrustedCluster> {
  requireRule(who, 'trusted_cluster', 'read');
  return await mustHave(state, name);
}

export async function listTrustedClusters(state: AuthState, who: Who): Promise<TrustedCluster[]> {
  requireRule(who, 'trusted_cluster', 'list', 'read');
  return await state.trustedClusters.list();
}

/** Make or change one. */
export async function upsertTrustedCluster(state: AuthState, who: Who, given: TrustedCluster): Promise<TrustedCluster> {
  requireRule(who, 'trusted_cluster', 'create', 'update');
  const wanted = withDefaults<TrustedCluster>({ ...given, kind: 'trusted_cluster' });
  checkResource(wanted);
  await checkMap(state, wanted);
  const { name } = wanted.metadata;
  const known = await state.trustedClusters.get(name);
  return known ? await change(state, who, known, wanted) : await begin(state, who, wanted);
}

/** From now on nobody of that cluster gets in, and who is in is out. */
export async function deleteTrustedCluster(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'trusted_cluster', 'delete');
  await mustHave(state, name);
  await recorded(state, ['trusted_cluster.delete', { name, user: nameOf(who) }], () =>
    state.authorities.remotes.change(name, async (remote) => {
      await remote.drop();
      await state.store.delete(remoteLocksKey(name));
      await state.trustedClusters.delete(name);
    }),
  );
}

async function mustHave(state: AuthState, name: string): Promise<TrustedCluster> {
  const found = await state.trustedClusters.get(name);
  if (found) return found;
  throw new TeleportError('NotFound', `trusted cluster ${JSON.stringify(name)} is not found`);
}

async function checkMap(state: AuthState, { spec: { role_map: map } }: TrustedCluster): Promise<void> {
  checkRoleMap(map);
  for (const mapping of map) {
    for (const role of fixedRoles(mapping)) {
      if (await state.roles.get(role)) continue;
      const { remote, local } = mapping;
      throw new TeleportError(
        'NotFound',
        `a role ${JSON.stringify(role)} referenced in a mapping ${remote}:[${local.join(' ')}] is not defined`,
      );
    }
  }
}

/** In `turns`, where the lines of logins are JSON. Whoever could share names with another must see it. */
const NEW_ROOTS = 'new roots';

async function begin(state: AuthState, who: Who, wanted: TrustedCluster): Promise<TrustedCluster> {
  const { name } = wanted.metadata;
  const { web_proxy_addr: address, token, enabled } = wanted.spec;
  const { remotes } = state.authorities;
  if (token === '')
    throw new TeleportError(
      'BadParameter',
      'missing spec.token: the root makes it with "tctl tokens add --type=trusted_cluster"',
    );
  if (isSameCluster(name, state.clusterName)) throw sameName(state);
  await refuseSharedNames(state, name);
  checkName(state, name, await state.exchange.clusterBehind(address).catch(untrusted(address)));
  const refuseKnown = () => {
    const holder = remotes.nameLike(name);
    if (holder !== undefined) throw knownAlready(holder);
  };
  refuseKnown();
  return await recorded(state, said(who, wanted), async () => {
    const hostAuthority = state.authorities.get('host').resource;
    const given = await state.exchange.exchangeAuthorities({ address, token, hostAuthority });
    const { cluster, authorities } = checkedAuthorities(given, ['host', 'user']);
    checkName(state, name, cluster);
    const keep = async (remote: RemoteChange) => {
      refuseKnown();
      await refuseSharedNames(state, name);
      const made = await state.trustedClusters.create(wanted);
      await remote.put(authorities, { isOn: enabled }).catch(async (error: unknown) => {
        await state.trustedClusters.delete(name);
        throw error;
      });
      return made;
    };
    return await inTurn(state.turns, NEW_ROOTS, () => remotes.change(name, keep));
  });
}

/** Two people must not have one name here: locks, records and databases know them by it. */
async function refuseSharedNames({ trustedClusters, users }: AuthState, root: string): Promise<void> {
  const others = (await trustedClusters.list()).map(({ metadata }) => metadata.name);
  const other = others.find((name) => couldShareNames(name, root));
  if (other !== undefined) {
    throw new TeleportError(
      'BadParameter',
      `users of ${JSON.stringify(root)} and of the trusted cluster ${JSON.stringify(other)} could have the same names here, which end in the name of their cluster: a cluster cannot trust both`,
    );
  }
  const own = (await users.list()).map(({ metadata }) => metadata.name).filter(isRemoteName);
  const taken = own.find((name) => name.toLowerCase().endsWith(`-${root.toLowerCase()}`));
  if (taken === undefined) return;
  throw new TeleportError(
    'BadParameter',
    `the user ${JSON.stringify(taken)} has a name that a user of ${JSON.stringify(root)} could have here: remove it with "tctl users rm ${shellWord(taken)}"`,
  );
}

const knownAlready = (name: string) =>
  new TeleportError('AlreadyExists', `a cluster ${JSON.stringify(name)} is known here already, as a leaf`);

/** The name is the root's own: certificates have it, and people type it. */
function checkName(state: AuthState, name: string, root: string): void {
  if (isSameCluster(root, state.clusterName)) throw sameName(state);
  if (root === name) return;
  throw new TeleportError(
    'BadParameter',
    `trusted cluster resource name must be the same as the remote cluster name: got ${JSON.stringify(name)}, want ${JSON.stringify(root)}`,
  );
}

function sameName({ clusterName }: AuthState): TeleportError {
  return new TeleportError(
    'BadParameter',
    `remote cluster name can not be the same as local cluster name ${JSON.stringify(clusterName)}`,
  );
}

/** A hint would stay here: what to do stands in the message. */
const untrusted = (address: string) => (error: unknown) => {
  if (!causesOf(error).some((link) => 'certificateProblem' in link)) throw error;
  throw new TeleportError(
    'AccessDenied',
    `the certificate of the Proxy at ${address} is not trusted here: ${messageOf(error)}. Start the Auth Service of this cluster with SSL_CERT_FILE set to a file with its authority`,
    { cause: error },
  );
};

async function change(
  state: AuthState,
  who: Who,
  known: TrustedCluster,
  wanted: TrustedCluster,
): Promise<TrustedCluster> {
  for (const field of ['token', 'web_proxy_addr', 'tunnel_addr'] as const) {
    if (wanted.spec[field] === known.spec[field]) continue;
    throw new TeleportError(
      'BadParameter',
      `spec.${field} of a trusted cluster cannot be changed. Remove it with "tctl rm trusted_cluster/${shellWord(known.metadata.name)}" and create it anew`,
    );
  }
  return await recorded(state, said(who, wanted), () =>
    state.authorities.remotes.change(known.metadata.name, async (remote) => {
      const made = await state.trustedClusters.update(wanted);
      if (remote.known) await remote.put(remote.known.authorities, { isOn: wanted.spec.enabled });
      return made;
    }),
  );
}

const said = (who: Who, { metadata, spec }: TrustedCluster): Said => [
  'trusted_cluster.create',
  { name: metadata.name, user: nameOf(who), enabled: spec.enabled },
];
