/**
 * Who may enter which database, and why: the decision of `rbac/check.ts` with what Auth knows now. An administrator asks
 * about everybody, a person about herself and no more than she may know. Rights and bounds: RFD 14.
 */

import { TeleportError } from '../errors.js';
import { newIdentity } from '../identity/identity.js';
import { isRemoteName } from '../identity/remote.js';
import { Kept } from '../kept.js';
import { oncePerKind } from '../rbac/alike.js';
import { entrances, type WayIn } from '../rbac/allowed.js';
import { type AccessWish, change, decide, smallestChange } from '../rbac/changes.js';
import type { AccessAnswer } from '../rbac/decision.js';
import { reasonsOf } from '../rbac/explain.js';
import { lockInForce, lockText } from '../rbac/limits.js';
import { expandRole } from '../rbac/templates.js';
import type { Database, Lock, Role, User } from '../resources/types.js';
import { shellWord } from '../shell-word.js';
import { Slices } from '../slices.js';
import { checkWord, checkWords } from './asked-words.js';
import { sees } from './databases.js';
import { isAllowed, requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { requireHost, rolesOf, type Who } from './who.js';

export interface AccessQuestion {
  /** Empty: the caller. */
  user: string;
  database: string;
  /** Empty: is there any? */
  dbUser: string;
  dbName: string;
  dbRoles: string[];
}

/** Rows of one answer. */
const MOST_ROWS = 1000;

export async function explainAccess(state: AuthState, who: Who, asked: AccessQuestion): Promise<AccessAnswer> {
  checkWords('db_roles', asked.dbRoles);
  checkWord('user', asked.user);
  checkWord('database', asked.database);
  checkWord('db_user', asked.dbUser);
  checkWord('db_name', asked.dbName);
  const isSelf = who.kind === 'user' && (asked.user === '' || asked.user === who.user.metadata.name);
  if (!isSelf) requireReader(who, 'read');
  const user = isSelf ? who.user : await userOf(state, asked.user);
  const database = await databaseOf(state, asked.database);
  if (database === undefined || !seesAs(who)(database)) {
    throw new TeleportError('NotFound', `database "${asked.database}" not found`);
  }
  const roles = await rolesOf(state, user.spec.roles);
  const question: AccessWish = {
    username: user.metadata.name,
    remoteUser: isSelf ? who.identity.remote?.username : undefined,
    roles,
    traits: user.spec.traits,
    database,
    dbUser: asked.dbUser || undefined,
    dbName: asked.dbName || undefined,
    dbRoles: asked.dbRoles,
    // Whoever has one can give it; the answer says that it is asked for.
    mfaVerified: true,
    authPreference: state.settings.preference,
    // Other roles are not named to somebody who may not read them.
    others: isReader(who) ? await otherRoles(state, user) : [],
  };
  const lock = await lockOf(state, user, question);
  return await answer(question, lock);
}

async function answer(question: AccessWish, lock: Lock | undefined): Promise<AccessAnswer> {
  const { refusal, ...trace } = decide(question);
  const unlock = lock ? [change('unlock', '', { target: lock.metadata.name })] : [];
  return {
    ...trace,
    user: question.username,
    allowed: refusal === undefined && lock === undefined,
    message: lock ? `access denied: ${lockText(lock)}` : (refusal?.message ?? ''),
    reasons: [...(lock ? [lockText(lock)] : []), ...reasonsOf({ refusal, ...trace }, question)],
    changes: [...unlock, ...(await smallestChange(question))],
  };
}

/** The rights of somebody who may ask about others. */
function requireReader(who: Who, ...verbs: ('list' | 'read')[]): void {
  // Of hosts the administrator's alone: others read roles to decide, and have no question.
  if (who.kind !== 'user') requireHost(who);
  requireRule(who, 'user', ...verbs);
  requireRule(who, 'role', ...verbs);
}

const isReader = (who: Who): boolean => (['user', 'role'] as const).every((kind) => isAllowed(who, kind, 'read'));

/** Whoever writes roles could see every database, and needs to know why others do not. */
function seesAs(who: Who): (database: Database) => boolean {
  return isAllowed(who, 'role', 'update') ? () => true : sees(who);
}

async function userOf(state: AuthState, name: string): Promise<User> {
  const user = await state.users.get(name);
  if (user !== undefined) return user;
  // Her roles and traits come with her certificate.
  const more = `: what people of other clusters may do is known when they come. She can ask for herself: tsh db why DB --cluster=${shellWord(state.clusterName)}`;
  throw new TeleportError('NotFound', `"user" "${name}" does not exist${isRemoteName(name) ? more : ''}`);
}

/** By name, as agents offer them, with the labels of their commands; of several agents, the word of the last counts. */
async function offeredDatabases(state: AuthState): Promise<ReadonlyMap<string, Database>> {
  const servers = await state.servers.list();
  return new Map(servers.map(({ spec }) => [spec.database.metadata.name, spec.database]));
}

/** As it is offered; else as it was written. */
async function databaseOf(state: AuthState, name: string): Promise<Database | undefined> {
  return (await offeredDatabases(state)).get(name) ?? (await state.databases.get(name));
}

async function otherRoles(state: AuthState, { spec }: User): Promise<Role[]> {
  const names = new Set(spec.roles);
  return (await state.roles.list()).filter(({ metadata }) => !names.has(metadata.name));
}

async function lockOf(
  state: AuthState,
  user: User,
  { dbUser, database }: Partial<AccessWish>,
): Promise<Lock | undefined> {
  const { roles: groups, traits } = user.spec;
  const now = state.now();
  const identity = newIdentity({
    username: user.metadata.name,
    groups,
    traits,
    teleportCluster: state.clusterName,
    expires: now,
  });
  return lockInForce(await state.locks.list(), { identity, login: dbUser, database, now });
}

export interface AccessList {
  entrances: (WayIn & { user: string; database: string })[];
  /** Where to go on; empty at the end. */
  next: string;
}

/**
 * Where one user may go, or who may come to one database: each way in through one role, since what two roles give does not
 * add up. Locks are not looked at.
 */
export async function listAccess(
  state: AuthState,
  who: Who,
  asked: { user: string; database: string; start: string },
): Promise<AccessList> {
  if ((asked.user === '') === (asked.database === '')) {
    throw new TeleportError('BadParameter', 'name either a user or a database');
  }
  checkWord('user', asked.user);
  checkWord('database', asked.database);
  checkWord('start', asked.start);
  requireReader(who, 'list', 'read');
  const { pairs, next } = asked.user === '' ? await usersFor(state, who, asked) : await databasesFor(state, who, asked);
  const slices = new Slices();
  const found: AccessList['entrances'] = [];
  for (const { username, database, waysInto } of pairs) {
    await slices.next();
    found.push(...waysInto(database).map((way) => ({ ...way, user: username, database: database.metadata.name })));
  }
  return { entrances: found, next };
}

interface Pairs {
  pairs: { username: string; database: Database; waysInto: (database: Database) => WayIn[] }[];
  next: string;
}

/** @param written  templates not filled in */
function waysOf(
  state: AuthState,
  { metadata, spec }: User,
  written: readonly Role[],
): Pairs['pairs'][number]['waysInto'] {
  const { traits } = spec;
  const roles = written.map((role) => expandRole(role, traits));
  const asked = { username: metadata.name, roles, traits, authPreference: state.settings.preference };
  return oncePerKind(roles, (database) => entrances({ ...asked, database }));
}

/** Of long lists, from one page to the next, by everything that they are made of. */
const lists = new Kept<Pairs['pairs'][number]['waysInto']>({ most: 2, mostChars: 1024 * 1024 });

async function databasesFor(
  state: AuthState,
  who: Who,
  { user: name, start }: { user: string; start: string },
): Promise<Pairs> {
  const user = await userOf(state, name);
  const roles = await rolesOf(state, user.spec.roles);
  const asked = [name, user.spec.traits, roles.map(({ metadata }) => metadata.revision), state.settings.preference];
  const waysInto = lists.get(JSON.stringify(asked), () => waysOf(state, user, roles));
  const mayKnow = seesAs(who);
  const offered = await offeredDatabases(state);
  const names = [...offered.keys()].sort().filter((one) => one >= start && mayKnow(offered.get(one)!));
  const pairs = names.slice(0, MOST_ROWS).map((one) => ({ username: name, waysInto, database: offered.get(one)! }));
  return { pairs, next: names[MOST_ROWS] ?? '' };
}

async function usersFor(
  state: AuthState,
  who: Who,
  { database: name, start }: { database: string; start: string },
): Promise<Pairs> {
  const database = await databaseOf(state, name);
  if (database === undefined || !seesAs(who)(database))
    throw new TeleportError('NotFound', `database "${name}" not found`);
  const defined = new Map((await state.roles.list()).map((role) => [role.metadata.name, role]));
  const { items, next } = await state.users.page(MOST_ROWS, start);
  const pairs = items.flatMap((user) => {
    const roles = user.spec.roles.map((one) => defined.get(one));
    // A role that is gone shuts out everybody who has it.
    if (roles.includes(undefined)) return [];
    return [{ username: user.metadata.name, waysInto: waysOf(state, user, roles as Role[]), database }];
  });
  return { pairs, next };
}
