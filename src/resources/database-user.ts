/**
 * What a database user means, however it is spelt: the one place that takes such names apart. An IAM role can be written
 * as `NAME` (Serverless), `role/NAME`, `role/PATH/NAME`, its ARN, an ARN of one of its sessions, or `IAMR:NAME` as the
 * database calls it; `IAM:NAME` and `IAMA:NAME` are what Redshift calls the user NAME that came with a password from AWS.
 * Decisions (`rbac`), lists (`tsh db ls`) and calls to AWS (`upstream`) all go by what this file says. Pure.
 *
 * Source: database-service.md 1.4 and 4.2; IAM's user guide on names (unique in an account whatever the path and case);
 * Redshift's API reference on GetClusterCredentials.
 */
import {
  type Arn,
  accountOf,
  isAccountId,
  parseArn,
  parseRoleArn,
  readRoleArn,
  roleArnText,
  sessionsArnText,
} from '../aws/arn.js';
import { partitionOf } from '../aws/partitions.js';
import { TeleportError } from '../errors.js';
import { awsOf, databaseType } from './database-type.js';
import type { Database } from './types.js';

export interface DatabaseUser {
  kind: 'role' | 'user';
  name: string;
  /** Roles only: the place in front of the name, `''` for none. */
  path: string;
  /** Whether the text says partition, account and path itself. */
  isArn: boolean;
  /** Roles only; the account undefined when neither the text nor the database says it. */
  partition: string | undefined;
  account: string | undefined;
}

const ROLE_PREFIX = /^(?:role\/|IAMR:)/i;
const USER_PREFIX = /^IAMA?:/i;

/** Of UTF-8, for one unit of a JavaScript text; small letters may be longer than large ones, and have no more than that. */
const MOST_BYTES_OF_A_UNIT = 3;
/** Longest name in bytes that a server keeps of what a client sends: what comes after is cut off. */
export const NAME_BYTES = { postgres: 63, redshift: 127 };

export function isRedshift(database: Database): boolean {
  return databaseType(database) === 'redshift' || isServerless(database);
}

function isServerless(database: Database): boolean {
  return databaseType(database) === 'redshift-serverless';
}

/** Never fails: what is not a name of AWS is a user of that name. */
export function readDatabaseUser(text: string, database: Database): DatabaseUser {
  return userReader(database)(text);
}

/** The same for many names: what the database is, is read once. */
function userReader(database: Database): (text: string) => DatabaseUser {
  const user = (name: string): DatabaseUser => {
    return { kind: 'user', name, path: '', isArn: false, partition: undefined, account: undefined };
  };
  if (!isRedshift(database)) return user;
  const { region, account_id: ownAccount, assume_role_arn: own } = awsOf(database);
  const place = {
    isArn: false,
    partition: region ? partitionOf(region) : undefined,
    account: ownAccount || accountOf(own ?? ''),
  };
  const hasRolesOnly = isServerless(database);
  return (text) => {
    const arn = readRoleArn(text);
    if (arn) {
      const { name, path, partition, accountId: account } = arn;
      return { kind: 'role', name, path, isArn: true, partition, account };
    }
    if (hasRolesOnly) return roleOf(text.replace(ROLE_PREFIX, '').replace(USER_PREFIX, ''), place);
    if (ROLE_PREFIX.test(text)) return roleOf(text.replace(ROLE_PREFIX, ''), place);
    return user(text.replace(USER_PREFIX, ''));
  };
}

function roleOf(resource: string, place: Pick<DatabaseUser, 'isArn' | 'partition' | 'account'>): DatabaseUser {
  const parts = resource.split('/').filter((part) => part !== '');
  return { kind: 'role', name: parts.at(-1) ?? '', path: parts.slice(0, -1).join('/'), ...place };
}

/**
 * Does an entry of a role's `db_users` surely mean this user? For allow: what is not known to be the same is another.
 * `*` is for the caller.
 */
export function isUser(dbUser: string, database: Database): (entry: string) => boolean {
  if (!isRedshift(database)) return (entry) => entry === dbUser;
  const read = userReader(database);
  const other = read(dbUser);
  return (entry) => {
    if (entry === dbUser) return true;
    const one = read(entry);
    if (one.kind !== other.kind || one.name !== other.name || one.name === '') return false;
    if (one.account !== other.account || one.partition !== other.partition) return false;
    // An entry that names no path means the role of that name wherever it stands: there is one in an account.
    return one.path === other.path || (one.path === '' && !one.isArn);
  };
}

/** Can an entry of a role's `db_users` mean this user? For deny: what is not known to be another is the same. */
export function mayBeUser(dbUser: string, database: Database): (entry: string) => boolean {
  if (!isRedshift(database)) return mayBeName(dbUser, database);
  const read = userReader(database);
  const other = read(dbUser);
  const mayBe = mayBeName(other.name, database);
  return (entry) => {
    const one = read(entry);
    if (one.kind !== other.kind || !mayBe(one.name)) return false;
    return !one.account || !other.account || one.account === other.account;
  };
}

/**
 * Can two names, of users or databases, be one name to the server? Redshift and IAM do not tell apart case; every server
 * cuts off what is too long.
 */
export function mayBeName(name: string, database: Database): (entry: string) => boolean {
  const folds = isRedshift(database);
  const limit = folds ? NAME_BYTES.redshift : NAME_BYTES.postgres;
  const folded = (text: string) => (folds ? text.toLowerCase() : text);
  const kept = (text: string) => Buffer.from(folded(text)).subarray(0, limit);
  const [whole, other] = [folded(name), kept(name)];
  // Nothing is cut off of names that are so short, and most are.
  const isShort = (text: string) => text.length * MOST_BYTES_OF_A_UNIT <= limit;
  const isShortName = isShort(whole);
  return (entry) => (isShortName && isShort(entry) ? folded(entry) === whole : kept(entry).equals(other));
}

/** Every way to write this user, for patterns: as it was written first. */
export function spellingsOf(dbUser: string, database: Database): string[] {
  if (!isRedshift(database)) return [...new Set([dbUser, keptName(dbUser, database)])];
  const { kind, name, path, partition, account } = readDatabaseUser(dbUser, database);
  const resource = path === '' ? name : `${path}/${name}`;
  // A pattern with a wildcard in this place is meant for them, too.
  const place = { partition: partition ?? 'unknown', accountId: account ?? 'unknown' };
  const asRole = [
    `role/${name}`,
    `role/${resource}`,
    `IAMR:${name}`,
    roleArnText({ ...place, path, name }),
    sessionsArnText({ ...place, name }),
  ];
  const asUser = [name, keptName(name, database), `IAM:${name}`, `IAMA:${name}`];
  const isPlain = kind === 'user' || isServerless(database);
  return [...new Set([dbUser, ...(isPlain ? asUser : []), ...(kind === 'role' ? asRole : [])])];
}

/** Every way to write the name of a database, for patterns: as it was written first. */
export function nameSpellings(dbName: string, database: Database): string[] {
  return [...new Set([dbName, keptName(dbName, database)])];
}

/** What a server keeps of a name that it is sent. */
function keptName(name: string, database: Database): string {
  const limit = isRedshift(database) ? NAME_BYTES.redshift : NAME_BYTES.postgres;
  return Buffer.from(name).subarray(0, limit).toString();
}

/** The same text for all spellings of one user, so that a list can hold each user once. */
export function userKey(dbUser: string, database: Database): string {
  if (!isRedshift(database)) return dbUser;
  const { kind, name, path, partition, account } = readDatabaseUser(dbUser, database);
  return JSON.stringify([kind, partition, account, path, name]);
}

// For AWS

/** Whether a user of a provisioned cluster is an IAM role that is taken for the login: a role ARN, or `role/NAME`. */
export function isRoleUser(dbUser: string): boolean {
  return dbUser.startsWith('role/') || parseRoleArn(dbUser) !== undefined;
}

/**
 * The ARN of the IAM role that a database user names.
 *
 * @param dbUser  full ARN, `role/NAME`, or (Serverless) a plain role name
 * @param place.accountId  12 digits; needed for anything but an ARN
 * @throws BadParameter with Teleport's texts
 */
export function roleArnOf(dbUser: string, place: { region: string; accountId?: string | undefined }): string {
  const partition = partitionOf(place.region);
  const arn = parseArn(dbUser);
  if (arn) {
    checkRoleArn(dbUser, arn);
    if (arn.partition !== partition) throw bad(`expected AWS partition "${partition}" but got "${arn.partition}"`);
    if (place.accountId && arn.accountId !== place.accountId) {
      throw bad(`expected AWS account ID "${place.accountId}" but got "${arn.accountId}"`);
    }
    return dbUser;
  }
  if (/^IAM[AR]?:/.test(dbUser)) {
    throw bad(
      `expecting name or ARN of an AWS IAM role but got ${dbUser}`,
      'Use the name of the IAM role, for example --db-user=role/NAME.',
    );
  }
  const name = dbUser.replace(/^role\//, '');
  if (name === '') throw bad(`"${dbUser}" is missing AWS IAM role name`);
  return roleArnText({ partition, accountId: checkAccountId(place.accountId), name });
}

/** @throws BadParameter unless it is 12 digits */
export function checkAccountId(accountId = ''): string {
  if (isAccountId(accountId)) return accountId;
  throw bad(`invalid AWS account ID "${accountId}": must be 12-digit`);
}

function checkRoleArn(text: string, arn: Arn): void {
  if (arn.service !== 'iam' || !arn.resource.startsWith('role')) throw bad(`"${text}" is not an AWS IAM role ARN`);
  if (!/^role\/.+/.test(arn.resource)) throw bad(`"${text}" is missing AWS IAM role name`);
  checkAccountId(arn.accountId);
}

function bad(message: string, hint?: string): TeleportError {
  return new TeleportError('BadParameter', message, hint ? { hint } : {});
}
