/**
 * Users and roles as resources: who may read and write them, what must be true of them, what is written to the audit log.
 * Texts of refusals: cli.md 6.
 */
import { unknownStatus } from '../api/status.js';
import { TeleportError } from '../errors.js';
import { isRemoteName } from '../identity/remote.js';
import { fixedRoles } from '../rbac/role-map.js';
import { isReadable } from '../rbac/templates.js';
import { withDefaults } from '../resources/defaults.js';
import { checkServed } from '../resources/served.js';
import { isSystemRole } from '../resources/system-role.js';
import type { AnyResource, Role, RoleConditions, TrustedCluster, User } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { LOCK_MS } from './guesses.js';
import { credentialStatus, deleteUserTokens } from './invites.js';
import { recorded, type Said } from './recorded.js';
import type { Page } from './records.js';
import { requireRule } from './rules.js';
import { forgetSecrets, freshSecrets } from './secrets.js';
import type { AuthState } from './state.js';
import { nameOf, requireSomebody, rolesOf, type Who } from './who.js';

// Users

/** A user as others may see it, or oneself. @throws NotFound `"user" "x" does not exist` */
export async function getUser(state: AuthState, who: Who, name: string): Promise<User> {
  const isSelf = who.kind === 'user' && who.user.metadata.name === name;
  if (!isSelf) requireRule(who, 'user', 'read');
  const user = await state.users.get(name);
  if (user === undefined) throw new TeleportError('NotFound', `"user" "${name}" does not exist`);
  return await shown(state, user);
}

export async function currentUser(state: AuthState, who: Who): Promise<User> {
  const caller = requireSomebody(who);
  if (caller.kind !== 'user') throw new TeleportError('BadParameter', 'the caller is not a user');
  return await shown(state, caller.user);
}

export async function listUsers(state: AuthState, who: Who, limit: number, start: string): Promise<Page<User>> {
  requireRule(who, 'user', 'list', 'read');
  const { items, next } = await state.users.page(limit, start);
  return { items: await Promise.all(items.map((user) => shown(state, user))), next };
}

export async function createUser(state: AuthState, who: Who, user: User): Promise<User> {
  requireRule(who, 'user', 'create');
  refuseRemoteName(user);
  const wanted = await checkedUser(state, user, { time: state.now().toISOString(), user: { name: nameOf(who) } });
  const taken = new TeleportError('AlreadyExists', `user "${user.metadata.name}" already registered`);
  if ((await state.users.get(user.metadata.name)) !== undefined) throw taken;
  const made = await recorded(state, userSaid(who, 'user.create', wanted), async () => {
    await forgetNamesake(state, user.metadata.name);
    return await state.users.create(wanted).catch((error: { code?: string }) => {
      throw error.code === 'AlreadyExists' ? taken : error;
    });
  });
  return await shown(state, made);
}

/** A user of another cluster is one in locks, records and databases under such a name. */
function refuseRemoteName({ metadata: { name } }: User): void {
  if (!isRemoteName(name ?? '')) return;
  throw new TeleportError(
    'BadParameter',
    `${JSON.stringify(name)} cannot be the name of a user: people of another cluster are called remote-USER-CLUSTER here`,
  );
}

/** Of a user who had the name before, nothing is left: neither secrets nor a link that was being made while she was deleted. */
async function forgetNamesake(state: AuthState, name: string): Promise<void> {
  // First the links: one that is in use holds on to the secrets that it has seen.
  await deleteUserTokens(state, name);
  await freshSecrets(state, name);
}

export async function updateUser(state: AuthState, who: Who, user: User): Promise<User> {
  requireRule(who, 'user', 'update');
  const before = await state.users.get(user.metadata.name);
  if (before === undefined) throw new TeleportError('NotFound', `"user" "${user.metadata.name}" does not exist`);
  const wanted = await checkedUser(state, user, before.spec.created_by);
  const made = await recorded(state, userSaid(who, 'user.update', wanted), () => state.users.update(wanted));
  return await shown(state, made);
}

export async function upsertUser(state: AuthState, who: Who, user: User): Promise<User> {
  requireRule(who, 'user', 'create', 'update');
  const before = await state.users.get(user.metadata.name);
  if (!before) refuseRemoteName(user);
  const created = before?.spec.created_by ?? { time: state.now().toISOString(), user: { name: nameOf(who) } };
  const wanted = await checkedUser(state, user, created);
  const said = userSaid(who, before ? 'user.update' : 'user.create', wanted);
  const made = await recorded(state, said, async () => {
    if (before === undefined) await forgetNamesake(state, user.metadata.name);
    return await state.users.put(wanted);
  });
  return await shown(state, made);
}

export async function deleteUser(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'user', 'delete');
  const absent = new TeleportError('NotFound', `user "${name}" not found`);
  if ((await state.users.get(name)) === undefined) throw absent;
  await recorded(state, ['user.delete', { name, user: nameOf(who) }], async () => {
    if (!(await state.users.delete(name))) throw absent;
    await forgetSecrets(state, name);
    await deleteUserTokens(state, name);
  });
}

async function checkedUser(state: AuthState, user: User, created: User['spec']['created_by']): Promise<User> {
  const { status, local_auth: _, ...spec } = user.spec ?? {};
  const { status: __, ...rest } = user;
  const whole = withDefaults<User>({
    ...rest,
    kind: 'user',
    spec: { ...spec, ...(created ? { created_by: created } : {}) },
  });
  checkResource(whole);
  const claimsLock = status?.is_locked === true && !isOver(state, status.lock_expires);
  // What `tctl get` showed of a lock-out may come back while it lasts.
  const isTrue =
    claimsLock &&
    state.guesses.lockedUntil(user.metadata.name, (await credentialStatus(state, user.metadata.name)).secrets);
  checkServed(claimsLock && !isTrue ? { ...whole, spec: { ...whole.spec, status } } : whole);
  await rolesOf(state, whole.spec.roles);
  return whole;
}

/** Whether a lock-out has an end, and that is behind us. */
function isOver(state: AuthState, end: string | undefined): boolean {
  return end !== undefined && new Date(end).getTime() > 0 && new Date(end) <= state.now();
}

/** With what is known of her credentials and lock-out; never a secret. */
async function shown(state: AuthState, user: User): Promise<User> {
  const { status, secrets } = await credentialStatus(state, user.metadata.name);
  const until = state.guesses.lockedUntil(user.metadata.name, secrets);
  const lock = until
    ? {
        is_locked: true,
        locked_message: 'user has exceeded maximum failed login attempts',
        locked_time: new Date(until.getTime() - LOCK_MS).toISOString(),
        lock_expires: until.toISOString(),
      }
    : { is_locked: false };
  return { ...user, spec: { ...user.spec, status: lock }, status };
}

function userSaid(who: Who, event: 'user.create' | 'user.update', user: User): Said {
  return [
    event,
    {
      name: user.metadata.name,
      user: nameOf(who),
      roles: user.spec.roles,
      connector: 'local',
      expires: user.metadata.expires,
    },
  ];
}

// Roles

/** @throws NotFound `role x is not found` */
export async function getRole(state: AuthState, who: Who, name: string): Promise<Role> {
  const isOwn = who.kind === 'user' && who.user.spec.roles.includes(name);
  if (!isOwn) requireRule(who, 'role', 'read');
  const [role] = await rolesOf(state, [name]);
  return role!;
}

export async function listRoles(state: AuthState, who: Who, limit: number, start: string): Promise<Page<Role>> {
  requireRule(who, 'role', 'list', 'read');
  return await state.roles.page(limit, start);
}

export async function createRole(state: AuthState, who: Who, role: Role): Promise<Role> {
  requireRule(who, 'role', 'create');
  const wanted = checkedRole(role);
  const taken = new TeleportError('AlreadyExists', `role "${role.metadata.name}" already exists`);
  if ((await state.roles.get(role.metadata.name)) !== undefined) throw taken;
  return await recorded(state, roleSaid(who, 'role.created', wanted.metadata.name), async () => {
    return await state.roles.create(wanted).catch((error: { code?: string }) => {
      throw error.code === 'AlreadyExists' ? taken : error;
    });
  });
}

export async function updateRole(state: AuthState, who: Who, role: Role): Promise<Role> {
  requireRule(who, 'role', 'update');
  await rolesOf(state, [role.metadata.name]);
  const wanted = checkedRole(role);
  const said = roleSaid(who, 'role.updated', wanted.metadata.name);
  return await recorded(state, said, () => state.roles.update(wanted));
}

export async function upsertRole(state: AuthState, who: Who, role: Role): Promise<Role> {
  requireRule(who, 'role', 'create', 'update');
  const wanted = checkedRole(role);
  return await recorded(state, roleSaid(who, 'role.created', wanted.metadata.name), () => state.roles.put(wanted));
}

/** @throws status Unknown while a user has the role or a role map gives it, as Teleport answers; the log says which */
export async function deleteRole(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'role', 'delete');
  if ((await state.roles.get(name)) === undefined) {
    throw new TeleportError('NotFound', `role "${name}" is not found`);
  }
  const users = (await state.users.list()).filter(({ spec }) => spec.roles.includes(name));
  if (users.length > 0) throw roleInUse(state, name, 'user', users);
  // People of that cluster would be refused for a role that is not there.
  const gives = ({ spec }: TrustedCluster) => spec.role_map.some((mapping) => fixedRoles(mapping).includes(name));
  const clusters = (await state.trustedClusters.list()).filter(gives);
  if (clusters.length > 0) throw roleInUse(state, name, 'certificate authority', clusters);
  await recorded(state, roleSaid(who, 'role.deleted', name), () => state.roles.delete(name));
}

/** Most that a line of the log names. */
const MOST_NAMED = 10;

function roleInUse({ log }: AuthState, role: string, by: string, all: readonly AnyResource[]): Error {
  const names = all.slice(0, MOST_NAMED).map(({ metadata }) => metadata.name);
  log.warn('A role was not deleted, because it is in use.', { role, by, names: names.join(', '), count: all.length });
  return unknownStatus(
    `failed to delete a role that is still in use by a ${by}, check the system server logs for more details`,
  );
}

const roleSaid = (who: Who, event: 'role.created' | 'role.updated' | 'role.deleted', name: string): Said => [
  event,
  { name, user: nameOf(who) },
];

function checkedRole(role: Role): Role {
  // A certificate whose O holds such a name would belong to a host.
  if (isSystemRole(role.metadata.name)) {
    throw new TeleportError('BadParameter', `role name "${role.metadata.name}" is reserved for a built-in role`);
  }
  const whole = withDefaults<Role>({
    ...role,
    kind: 'role',
    spec: { ...role.spec, allow: inSomeNamespace(role.spec?.allow), deny: inSomeNamespace(role.spec?.deny) },
  });
  checkResource(whole);
  checkServed(whole);
  checkDenyTemplates(whole);
  return whole;
}

/** @throws BadParameter for a template in a deny that can never be filled in: the entry would deny nothing */
function checkDenyTemplates({ metadata, spec: { deny } }: Role): void {
  const labels = Object.entries(deny.db_labels ?? {}).flatMap(([key, values]) => [key, ...[values].flat()]);
  const entries = { db_users: deny.db_users ?? [], db_names: deny.db_names ?? [], db_labels: labels };
  for (const [list, texts] of Object.entries(entries)) {
    const dead = texts.find((text) => !isReadable(text));
    if (dead === undefined) continue;
    throw new TeleportError(
      'BadParameter',
      `role "${metadata.name}": spec.deny.${list}: ${JSON.stringify(dead)} is not a template and would deny nothing. Templates look like {{internal.db_users}} or {{external.TRAIT}}.`,
    );
  }
}

/** No namespace in a message means the usual one; kept as an empty list it would mean none. */
function inSomeNamespace({ namespaces, ...conditions }: RoleConditions = {}): RoleConditions {
  return namespaces && namespaces.length > 0 ? { ...conditions, namespaces } : conditions;
}
