/** Join tokens and locks as resources. Texts of refusals: cli.md 6. A token's name is its secret: errors show it masked. */

import { randomUUID } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { masked } from '../redact.js';
import { withDefaults } from '../resources/defaults.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import { checkServed } from '../resources/served.js';
import { TRUST_ROLES } from '../resources/system-role.js';
import type { Lock, LockTarget, ProvisionToken } from '../resources/types.js';
import { checkResource, normalRole } from '../resources/validate.js';
import { JOINABLE } from './host-certs.js';
import { recorded, type Said } from './recorded.js';
import type { Page } from './records.js';
import { requireRule } from './rules.js';
import type { AuthState, StaticToken } from './state.js';
import { nameOf, type Who } from './who.js';

/** `proxy,db:secret` of the configuration file. @throws TeleportError `BadParameter` */
export function parseStaticToken(text: string): StaticToken {
  const [roles = '', ...rest] = text.split(':');
  const token = rest.join(':');
  if (token === '') throw new TeleportError('BadParameter', 'a static token must have the form role,role:token');
  return { token, roles: roles.split(',').map((word) => normalRole(word.trim())) };
}

export async function getToken(state: AuthState, who: Who, name: string): Promise<ProvisionToken> {
  requireRule(who, 'token', 'read');
  const token = (await state.tokens.get(name)) ?? staticTokens(state).find(({ metadata }) => metadata.name === name);
  if (token === undefined) throw notFound(name);
  return token;
}

export async function listTokens(
  state: AuthState,
  who: Who,
  limit: number,
  start: string,
): Promise<Page<ProvisionToken>> {
  requireRule(who, 'token', 'list', 'read');
  return await state.tokens.page(limit, start);
}

/** Those of the configuration file, as resources. */
export function staticTokens(state: AuthState): ProvisionToken[] {
  return state.staticTokens.map(({ token, roles }) => ({
    kind: 'token',
    version: 'v2',
    metadata: { name: token, labels: { [ORIGIN_LABEL]: 'config-file' } },
    spec: { roles, join_method: 'token' },
  }));
}

export async function createToken(state: AuthState, who: Who, token: ProvisionToken): Promise<void> {
  requireRule(who, 'token', 'create');
  const wanted = checkedToken(token);
  const taken = new TeleportError('AlreadyExists', `provisioning token(${masked(token.metadata.name)}) already exists`);
  if ((await state.tokens.get(token.metadata.name)) !== undefined) throw taken;
  await recorded(state, tokenSaid(who, wanted), async () => {
    await state.tokens.create(wanted).catch((error: { code?: string }) => {
      throw error.code === 'AlreadyExists' ? taken : error;
    });
  });
}

export async function upsertToken(state: AuthState, who: Who, token: ProvisionToken): Promise<void> {
  requireRule(who, 'token', 'create', 'update');
  const wanted = checkedToken(token);
  await recorded(state, tokenSaid(who, wanted), () => state.tokens.put(wanted));
}

export async function deleteToken(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'token', 'delete');
  if (state.staticTokens.some(({ token }) => token === name)) {
    throw new TeleportError('BadParameter', `token ${masked(name)} is statically configured and cannot be removed`);
  }
  // Invitations stand in the same list for people, so they are taken back in the same way.
  const isThere = (await state.tokens.get(name)) ?? (await state.userTokens.get(name));
  if (!isThere) throw notFound(name);
  await recorded(state, ['join_token.delete', { name: masked(name), user: nameOf(who) }], async () => {
    if ((await state.tokens.delete(name)) || (await state.userTokens.delete(name))) return;
    throw notFound(name);
  });
}

function checkedToken(token: ProvisionToken): ProvisionToken {
  const roles = (token.spec?.roles ?? []).map(normalRole);
  const whole = withDefaults<ProvisionToken>({ ...token, kind: 'token', spec: { ...token.spec, roles } });
  checkResource(whole);
  checkServed(whole);
  requireService(roles);
  return whole;
}

/** Where one role is served others may stand beside it, for the hosts of another version. */
function requireService(roles: readonly string[]): void {
  if (roles.some((role) => JOINABLE.includes(role) || role === TRUST_ROLES.token)) return;
  const types = [...JOINABLE, TRUST_ROLES.token].map((role) => role.toLowerCase()).join(', ');
  throw new TeleportError(
    'BadParameter',
    `this cluster has no service of ${roles.join(' or ')}: a host can join it as ${types}`,
  );
}

function tokenSaid(who: Who, { metadata, spec }: ProvisionToken): Said {
  return [
    'join_token.create',
    {
      name: masked(metadata.name),
      user: nameOf(who),
      roles: spec.roles,
      join_method: spec.join_method,
      expires: metadata.expires,
    },
  ];
}

const notFound = (name: string) => new TeleportError('NotFound', `provisioning token(${masked(name)}) not found`);

// Locks

/** @throws NotFound `lock "x" is not found` */
export async function getLock(state: AuthState, who: Who, name: string): Promise<Lock> {
  requireRule(who, 'lock', 'read');
  const lock = await state.locks.get(name);
  if (lock === undefined) throw new TeleportError('NotFound', `lock "${name}" is not found`);
  return lock;
}

/** Locks in force or not; with targets only those that hit one of them. */
export async function listLocks(
  state: AuthState,
  who: Who,
  targets: LockTarget[],
  inForceOnly: boolean,
): Promise<Lock[]> {
  requireRule(who, 'lock', 'list', 'read');
  const now = state.now().getTime();
  return (await state.locks.list()).filter(({ spec }) => {
    if (inForceOnly && spec.expires !== undefined && Date.parse(spec.expires) <= now) return false;
    return targets.length === 0 || targets.some((target) => hits(spec.target, target));
  });
}

export async function upsertLock(state: AuthState, who: Who, lock: Lock): Promise<void> {
  requireRule(who, 'lock', 'create', 'update');
  const name = lock.metadata.name || randomUUID();
  const { created_at = state.now().toISOString(), created_by = nameOf(who) } =
    (await state.locks.get(name))?.spec ?? {};
  const whole = withDefaults<Lock>({
    ...lock,
    kind: 'lock',
    metadata: { ...lock.metadata, name },
    spec: { ...lock.spec, created_at, created_by },
  });
  checkResource(whole);
  const { target, expires } = whole.spec;
  await recorded(state, ['lock.created', { name, user: nameOf(who), target, expires }], () => state.locks.put(whole));
}

export async function deleteLock(state: AuthState, who: Who, name: string): Promise<void> {
  requireRule(who, 'lock', 'delete');
  const absent = new TeleportError('NotFound', `lock "${name}" not found`);
  if ((await state.locks.get(name)) === undefined) throw absent;
  await recorded(state, ['lock.deleted', { name, user: nameOf(who) }], async () => {
    if (!(await state.locks.delete(name))) throw absent;
  });
}

const hits = (target: LockTarget, wanted: LockTarget): boolean =>
  Object.entries(wanted).every(([key, value]) => !value || target[key] === value);
