/**
 * Is a resource one that may be kept? One function a kind, with Teleport's texts (database-service.md 1.6 and 11.3).
 * What is refused here would fail later and further from the person who wrote it; what Teleport lets through (broken
 * templates and label expressions) passes here as well.
 */

import { isAccountId, isIdentityPattern } from '../aws/arn.js';
import { TeleportError } from '../errors.js';
import { portOf } from '../host-port.js';
import { isPattern } from '../pattern.js';
import { shellWord } from '../shell-word.js';
import { type AnySettings, checkSettings, isSettings } from './cluster-settings.js';
import { isSet } from './database-type.js';
import { joiningRole, TRUST_ROLES } from './system-role.js';
import type {
  AnyResource,
  LabelSelector,
  Lock,
  ProvisionToken,
  Role,
  RoleConditions,
  TrustedCluster,
  User,
} from './types.js';
import { checkDatabase } from './validate-database.js';

export { checkDatabase } from './validate-database.js';

const ROLE_VERSIONS = new Set(['v3', 'v4', 'v5', 'v6', 'v7', 'v8']);
const LOCK_MODES = new Set<unknown>(['strict', 'best_effort', '', undefined]);
const DURATION_OPTIONS = ['max_session_ttl', 'client_idle_timeout'];
const DB_USER_MODES = new Set<unknown>(['off', 'keep', 'best_effort_drop', '', false, undefined, 0, 1, 2, 3]);

/** Members of a token that only these join methods read. */
const OTHER_JOIN_METHODS = [
  'azure',
  'azure_devops',
  'bitbucket',
  'bound_keypair',
  'circleci',
  'gcp',
  'github',
  'gitlab',
  'kubernetes',
  'oracle',
  'spacelift',
  'terraform_cloud',
  'tpm',
];

/** @throws TeleportError `BadParameter` */
export function checkResource(resource: AnyResource): void {
  if (!resource.metadata?.name && !isSettings(resource.kind)) throw bad('missing parameter Name');
  checkName(resource);
  if (resource.kind === 'role') checkRole(resource);
  else if (resource.kind === 'user') checkUser(resource);
  else if (resource.kind === 'db') checkDatabase(resource);
  else if (resource.kind === 'token') checkToken(resource);
  else if (resource.kind === 'lock') checkLock(resource);
  else if (resource.kind === 'trusted_cluster') checkTrustedCluster(resource);
  else if (isSettings(resource.kind)) checkSettings(resource as AnySettings);
}

/** Teleport's rule. With a slash in its name a resource could not be named as `kind/name`. Databases have a rule of their own. */
const NAME = /^[0-9A-Za-z@_:.+-]+$/;

function checkName({ kind, metadata }: AnyResource): void {
  const name: unknown = metadata?.name;
  if (kind === 'db' || isSettings(kind) || typeof name !== 'string') return;
  if (NAME.test(name) && name !== '.' && name !== '..') return;
  const what = 'special characters are not allowed in resource names, please use name composed only from characters';
  // A token's name is a secret.
  throw bad(`${what}, hyphens, dots, and plus signs: ${kind === 'token' ? '***' : JSON.stringify(name)}`);
}

export function checkRole(role: Role): void {
  if (!role.metadata?.name) throw bad('missing parameter Name');
  if (role.version !== undefined && !ROLE_VERSIONS.has(role.version)) {
    throw bad(`role version ${JSON.stringify(role.version)} is not supported`);
  }
  const { options = {}, allow = {}, deny = {} } = role.spec ?? {};
  if (!LOCK_MODES.has(options.lock)) throw bad(`invalid value for role option lock: ${options.lock}`);
  const mode: unknown = options.create_db_user_mode;
  if (mode === true) throw bad('create_database_user_mode cannot be true, got true');
  if (!DB_USER_MODES.has(mode)) throw bad(`invalid database user mode ${String(mode)}`);
  for (const name of DURATION_OPTIONS) {
    const value: unknown = options[name];
    if (typeof value === 'string' && value.startsWith('-'))
      throw bad(`spec.options.${name} cannot be negative: ${value}`);
  }
  if (allow.db_roles?.includes('*')) throw bad('wildcard is not allowed in allow.database_roles');
  for (const conditions of [allow, deny]) checkConditions(conditions);
}

function checkConditions(conditions: RoleConditions): void {
  for (const { permissions } of conditions.db_permissions ?? []) {
    if (permissions?.includes('*')) throw bad('individual database permissions cannot be wildcards strings');
  }
  for (const [name, value] of Object.entries(conditions)) {
    if (name.endsWith('_labels')) checkSelector(value as LabelSelector | null | undefined);
  }
  for (const rule of conditions.rules ?? []) {
    if (!rule.resources?.length) throw bad('missing resources to match');
    if (!rule.verbs?.length) throw bad('missing verbs');
  }
}

function checkSelector(selector: LabelSelector | null | undefined): void {
  const values = selector?.['*'];
  if (values === undefined) return;
  const all = typeof values === 'string' ? values === '*' : values.length === 1 && values[0] === '*';
  if (!all) throw bad('selector *:<val> is not supported');
}

export function checkUser(user: User): void {
  if (!user.metadata?.name) throw bad('user name cannot be empty');
  if (user.version !== undefined && user.version !== 'v2') {
    throw bad(`user resource version ${JSON.stringify(user.version)} is not supported`);
  }
  if ((user.spec?.roles as unknown) !== undefined && !Array.isArray(user.spec.roles)) {
    throw bad('user.spec.roles must be a list');
  }
  // Neither here nor on Teleport: our messages do not carry secrets, and without a word they would be lost.
  if (isSet(user.spec?.local_auth)) {
    throw new TeleportError('NotImplemented', `user "${user.metadata.name}": spec.local_auth cannot be written`, {
      hint: `Leave it out, then let the person set a password: tctl users reset ${shellWord(user.metadata.name)}.`,
    });
  }
}

export function checkToken(token: ProvisionToken): void {
  const roles = token.spec?.roles ?? [];
  if (roles.length === 0) throw bad('missing parameter Roles');
  for (const role of roles) normalRole(role);
  const { databases = [], db_labels: labels = {} } = token.spec;
  const patterns = [...databases, ...Object.values(labels).flat()];
  const wrong = patterns.find(
    (text) => text === '' || (text.startsWith('^') && text.endsWith('$') && !isPattern(text)),
  );
  if (wrong !== undefined) {
    throw bad(
      `${JSON.stringify(wrong)} in spec.databases or spec.db_labels of a token is neither a name nor a pattern`,
    );
  }
  const method = token.spec.join_method || 'token';
  if (method === 'iam') {
    checkAllowed(token.spec.allow ?? []);
    const other = roles.map(normalRole).find((role) => role === TRUST_ROLES.token);
    if (other !== undefined) throw bad('the join method "iam" is for hosts, and not for the role trusted_cluster');
  }
  if (method !== 'token' && method !== 'iam')
    throw new TeleportError('NotImplemented', `join method ${JSON.stringify(method)} is not supported`);
  const other = OTHER_JOIN_METHODS.find((name) => isSet((token.spec as Record<string, unknown>)[name]));
  if (other !== undefined) {
    throw new TeleportError('NotImplemented', `spec.${other} belongs to another join method, which is not supported`, {
      hint: `Leave out ${other}: with the join method "token", whoever has the token may join.`,
    });
  }
}

/** Which AWS identities may join. */
function checkAllowed(rules: NonNullable<ProvisionToken['spec']['allow']>): void {
  if (rules.length === 0)
    throw bad('the join method "iam" needs spec.allow, a list of rules with aws_account or aws_arn');
  for (const [at, rule] of rules.entries()) {
    const other = Object.keys(rule).find((name) => !['aws_account', 'aws_arn'].includes(name));
    if (other !== undefined) throw bad(`spec.allow[${at}].${other} is not part of the join method "iam"`);
    const { aws_account: account = '', aws_arn: arn = '' } = rule;
    if (account === '' && arn === '') throw bad(`spec.allow[${at}] must set aws_account or aws_arn`);
    if (account !== '' && !isAccountId(account)) {
      throw bad(`spec.allow[${at}].aws_account ${JSON.stringify(account)} is not an AWS account (12 digits)`);
    }
    if (arn !== '' && !isIdentityPattern(arn)) {
      throw bad(`spec.allow[${at}].aws_arn ${JSON.stringify(arn)} is not the ARN of an identity, nor a pattern of one`);
    }
  }
}

/** `db` → `Db`. @throws TeleportError `BadParameter` `invalid role "x"` */
export function normalRole(word: string): string {
  const known = joiningRole(word);
  if (known === undefined) throw bad(`invalid role ${JSON.stringify(word)}`);
  return known;
}

export function checkLock(lock: Lock): void {
  if (!Object.values(lock.spec?.target ?? {}).some(Boolean)) throw bad('at least one target field must be set');
}

/** Role map: `rbac/role-map.ts`. */
function checkTrustedCluster({ spec }: TrustedCluster): void {
  if (spec.web_proxy_addr === '') throw bad("missing spec.web_proxy_addr: HOST:PORT of the root cluster's Proxy");
  for (const name of ['web_proxy_addr', 'tunnel_addr'] as const) {
    if (portOf(spec[name]) === undefined) throw bad(`spec.${name} ${JSON.stringify(spec[name])} must be HOST:PORT`);
  }
  if ((spec.roles?.length ?? 0) > 0) {
    throw bad('spec.roles is not taken: say in spec.role_map which roles of the root are which here');
  }
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
