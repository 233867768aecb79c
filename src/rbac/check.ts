/**
 * May this user enter this database as that database user and into that database name? Every block of every role is asked,
 * each answer is kept, and the verdict is read off the answers: what `why` shows is what decided. Pure; its tests are the
 * specification.
 *
 * Source: database-service.md 1.2, 1.4, 1.7, 1.9. Why one evaluation: RFD 14.
 */
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { AuthPreference, Role, RoleConditions } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';
import {
  AUTO_USER_LACKS,
  autoUserLack,
  autoUserMode,
  autoUserNameLack,
  autoUserRoles,
  supportsAutoUsers,
} from './auto-users.js';
import type { AccessRefusal, DatabaseAccessRequest, Decision, RoleBlock } from './decision.js';
import { refusalHint } from './explain.js';
import {
  allLabels,
  allowsName,
  allowsUser,
  type Check,
  checked,
  deniesName,
  deniesUser,
  type Fits,
  hasNamespace,
  labelChecks,
  problemIn,
  selects,
} from './match.js';

const REFUSED = 'access to db denied. User does not have permissions. Confirm database user and name.';
const MFA_REQUIRED = 'access to resource requires MFA';

/** @throws AccessDenied with Teleport's text; BadParameter for a label expression that cannot be read */
export function checkDatabaseAccess(request: DatabaseAccessRequest): void {
  const decision = decideAccess(request);
  if (decision.refusal === undefined) return;
  const { code, message } = decision.refusal;
  throw new TeleportError(code, message, { hint: refusalHint(decision, request) });
}

export function decideAccess(request: DatabaseAccessRequest): Decision {
  const { roles, database } = request;
  const mode = modeOf(request);
  const automatic = mode !== 'off' && supportsAutoUsers(database);
  const asked: Asked = { ...request, labels: allLabels(database), matchers: matchersFor(request, automatic) };
  const denying = roles.flatMap((role) => denyBlock(role, asked) ?? []);
  const allowing = roles.map((role) => allowBlock(role, asked));
  const state = mfaState(roles, request.authPreference);
  const asksMfa =
    state === 'always' || (state === 'by-role' && roles.some((role, at) => allowing[at]!.applies && requiresMfa(role)));
  const lacksMfa = asksMfa && !request.mfaVerified;

  const refuse = (): AccessRefusal | undefined => {
    const { username, remoteUser, dbUser } = request;
    // The Database Service says it at more length, before it asks here.
    const lack = mode === 'off' ? undefined : autoUserLack(database);
    if (lack !== undefined) return { by: 'no-auto-user', code: 'NotImplemented', message: AUTO_USER_LACKS[lack] };
    const nameLack = automatic ? autoUserNameLack(username, database, remoteUser) : undefined;
    if (nameLack !== undefined) return { by: 'own-name', code: 'BadParameter', message: nameLack };
    if (mode !== 'off' && dbUser !== undefined && dbUser !== username)
      return refusal('own-name', ownName(request, dbUser));
    if (lacksMfa && state === 'always') return refusal('mfa', MFA_REQUIRED);
    // Whichever comes first; a deny that cannot be read might have been for this database.
    const decisive = denying.find(({ applies, problem }) => applies || problem !== undefined);
    if (decisive) return decisive.problem === undefined ? refusal('deny', REFUSED) : problemOf(decisive.problem);
    const unreadable = allowing.find(({ problem }) => problem !== undefined);
    if (unreadable) return problemOf(unreadable.problem!);
    // User and name must be allowed by the same role: what one role gives does not add up with another's.
    if (!allowing.some(({ applies }) => applies)) return refusal('no-allow', REFUSED);
    if (lacksMfa) return refusal('mfa', MFA_REQUIRED);
    return automatic ? rolesRefused(request) : undefined;
  };
  return { refusal: refuse(), automatic, asksMfa, blocks: [...denying, ...allowing] };
}

const refusal = (by: AccessRefusal['by'], message: string): AccessRefusal => ({ by, code: 'AccessDenied', message });
const problemOf = (message: string): AccessRefusal => ({ by: 'problem', code: 'BadParameter', message });
const ownName = ({ username, leaf }: DatabaseAccessRequest, dbUser: string): string =>
  `please use your ${leaf === undefined ? 'Teleport' : 'mapped remote'} username ("${username}") to connect instead of "${dbUser}"`;

/** An expression that cannot be read is found again, with its role, when the blocks are asked. */
function modeOf({ roles, database, traits }: DatabaseAccessRequest): ReturnType<typeof autoUserMode> {
  try {
    return autoUserMode(roles, database, traits);
  } catch (error) {
    if (isTeleportError(error, 'BadParameter')) return 'off';
    throw error;
  }
}

function rolesRefused({ roles, database, dbRoles = [], traits }: DatabaseAccessRequest): AccessRefusal | undefined {
  try {
    autoUserRoles(roles, database, dbRoles, traits);
    return undefined;
  } catch (error) {
    if (isTeleportError(error, 'AccessDenied')) return refusal('db-roles', messageOf(error));
    throw error;
  }
}

interface Asked extends DatabaseAccessRequest {
  labels: Record<string, string>;
  matchers: Matcher[];
}

function denyBlock({ metadata, spec: { deny } }: Role, { labels, traits, matchers }: Asked): RoleBlock | undefined {
  if (!hasNamespace(deny) || DENYING.every((field) => isEmpty(deny[field]))) return undefined;
  const checks = labelChecks(deny, labels, 'deny', traits);
  const isSelecting = selects(checks, 'deny');
  const problem = problemIn(checks);
  // A deny on users or names works without labels, on every database.
  for (const { field, denies } of matchers) {
    if (!deny[field]?.length) continue;
    const entry = denies(deny);
    checks.push(checked(field, entry !== undefined, entry));
  }
  if (checks.length === 0) return undefined;
  const applies = checks.some(({ holds }) => holds);
  return { role: metadata.name, side: 'deny', applies, selects: isSelecting, checks, problem };
}

function allowBlock({ metadata, spec: { allow } }: Role, { labels, traits, matchers }: Asked): RoleBlock {
  const checks = hasNamespace(allow) ? labelChecks(allow, labels, 'allow', traits) : [checked('namespaces', false)];
  const isSelecting = selects(checks, 'allow');
  const problem = problemIn(checks);
  if (checks.length === 0) checks.push(checked('db_labels', false));
  const rest = () =>
    matchers.map(({ field, allows }) => {
      const entry = allows(allow);
      return checked(field, entry !== undefined, entry);
    });
  return new AllowBlock(metadata.name, { checks, isSelecting, problem }, rest);
}

/** Of the many that do not select the database, only whoever asks why reads all checks. */
class AllowBlock implements RoleBlock {
  readonly role: string;
  readonly side = 'allow';
  readonly selects: boolean;
  readonly applies: boolean;
  readonly problem: string | undefined;
  #checks: Check[];
  #rest: (() => Check[]) | undefined;

  constructor(
    role: string,
    labels: { checks: Check[]; isSelecting: boolean; problem: string | undefined },
    rest: () => Check[],
  ) {
    this.role = role;
    this.selects = labels.isSelecting;
    this.problem = labels.problem;
    this.#checks = labels.checks;
    this.#rest = rest;
    this.applies = this.selects && this.checks.every(({ holds }) => holds);
  }

  get checks(): Check[] {
    if (this.#rest) this.#checks = [...this.#checks, ...this.#rest()];
    this.#rest = undefined;
    return this.#checks;
  }
}

/** A deny block without any of these says nothing of databases. */
const DENYING = ['db_labels', 'db_labels_expression', 'db_users', 'db_names'] as const;
const isEmpty = (condition: object | string | undefined): boolean =>
  condition === undefined || Object.keys(condition).length === 0;

interface Matcher {
  field: 'db_users' | 'db_names';
  /** The entry of the block that fits. */
  allows(conditions: RoleConditions): string | undefined;
  denies(conditions: RoleConditions): string | undefined;
}

function matchersFor({ roles, database, dbUser, dbName }: DatabaseAccessRequest, automatic: boolean): Matcher[] {
  const users = () =>
    matcher('db_users', dbUser, roles, {
      allows: (user) => allowsUser(user, database),
      denies: (user) => deniesUser(user, database),
    });
  const names = matcher('db_names', dbName, roles, {
    allows: allowsName,
    denies: (name) => deniesName(name, database),
  });
  return automatic ? [names] : [users(), names];
}

function matcher(
  field: Matcher['field'],
  wanted: string | undefined,
  roles: readonly Role[],
  { allows, denies }: { allows(name: string): Fits; denies(name: string): Fits },
): Matcher {
  if (wanted !== undefined) {
    const [isAllowed, isDenied] = [allows(wanted), denies(wanted)];
    return {
      field,
      allows: (block) => block[field]?.find(isAllowed),
      denies: (block) => block[field]?.find(isDenied),
    };
  }
  // Any will do: one that no role takes away.
  const denied = roles.flatMap(({ spec }) => (hasNamespace(spec.deny) ? (spec.deny[field] ?? []) : []));
  const isLeft = (entry: string) => entry === '*' || denied.length === 0 || !denied.some(denies(entry));
  return {
    field,
    allows: (block) => block[field]?.find(isLeft),
    denies: (block) => block[field]?.find((entry) => entry === '*'),
  };
}

/** `always`: the cluster or every role asks; `never`: nobody; else it depends on which roles let one in. */
export function mfaState(
  roles: readonly Role[],
  preference: AuthPreference | undefined,
): 'always' | 'never' | 'by-role' {
  if (isOn(preference?.spec.require_session_mfa)) return 'always';
  if (!roles.some(requiresMfa)) return 'never';
  return roles.every(requiresMfa) ? 'always' : 'by-role';
}

function requiresMfa(role: Role): boolean {
  return isOn(role.spec.options.require_session_mfa);
}

function isOn(value: boolean | string | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true;
  return yesOrNo(value) ?? value !== '';
}
