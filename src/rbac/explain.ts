/**
 * The trace of a decision in words: for the person who was refused, and for whoever asks why. Reads what `check.ts` has
 * found and decides nothing. Pure.
 */
import { shellWord } from '../shell-word.js';
import type { AccessChange, DatabaseAccessRequest, Decision, RoleBlock } from './decision.js';
import type { Check } from './match.js';

/** Roles that one sentence names; the rest is counted. */
const ROLES_NAMED = 3;

type Asked = Pick<DatabaseAccessRequest, 'username' | 'dbUser' | 'dbName' | 'database' | 'leaf'>;

/**
 * Who wanted what, and why not, as far as she may know: of her own roles everything, but a database that none of them
 * selects, or that one excludes by its labels, is for her one that does not exist.
 */
export function refusalHint(decision: Decision, asked: Asked): string {
  const reason = isHidden(decision)
    ? `no role of ${asked.username} selects a database of that name`
    : reasonsOf(decision, asked).join('; ');
  return `${wishOf(asked)}: ${reason}. More: ${whyCommand(asked)}`;
}

function whyCommand({ database, dbUser, dbName, leaf }: Asked): string {
  const flags = [
    leaf === undefined ? [] : `--cluster=${leaf}`,
    dbUser === undefined ? [] : `--db-user=${dbUser}`,
    dbName === undefined ? [] : `--db-name=${dbName}`,
  ].flat();
  return ['tsh', 'db', 'why', database.metadata.name, ...flags].map(shellWord).join(' ');
}

/** Whether she does not get to see the database at all. */
export function isHidden({ blocks }: Decision): boolean {
  const [denying, allowing] = [
    blocks.filter(({ side }) => side === 'deny'),
    blocks.filter(({ side }) => side === 'allow'),
  ];
  return denying.some((block) => block.selects) || !allowing.some((block) => block.selects);
}

/** `User alice, database "sales", database user "reader", database name "dev"`. */
export function wishOf({ username, database, dbUser, dbName }: Asked): string {
  const parts = [`User ${username}`, `database "${database.metadata.name}"`];
  if (dbUser !== undefined) parts.push(`database user "${dbUser}"`);
  if (dbName !== undefined) parts.push(`database name "${dbName}"`);
  return parts.join(', ');
}

/** What refused, one clause each; empty where she may enter. */
export function reasonsOf(decision: Decision, asked: Asked): string[] {
  const { refusal, blocks } = decision;
  const unreadable = blocks.filter(({ problem }) => problem !== undefined);
  switch (refusal?.by) {
    case undefined:
      return [];
    case 'no-auto-user':
      return [`her roles want a database user made for her, and ${refusal.message}`];
    case 'own-name':
      if (refusal.code === 'BadParameter') return [refusal.message];
      return ['here the database user is made for each person and bears her own name'];
    case 'mfa':
      return ['a second factor is asked for at each session'];
    case 'db-roles':
      return ['none of her roles gives that database role here'];
    case 'problem':
      return unreadable.map(({ role, side }) => `${side}.db_labels_expression of role "${role}" cannot be read`);
    case 'deny':
      return named(blocks.filter(({ side, applies }) => side === 'deny' && applies)).map(
        (block) => `role "${block.role}" denies ${deniedBy(block, asked)}`,
      );
    case 'no-allow':
      return named(closest(blocks)).map((block) => `role "${block.role}" ${lackOf(block, asked)}`);
  }
}

/** Of the blocks that could allow, those that select the database; where none does, all. */
function closest(blocks: readonly RoleBlock[]): RoleBlock[] {
  const allowing = blocks.filter(({ side }) => side === 'allow');
  const selecting = allowing.filter((block) => block.selects);
  return selecting.length > 0 ? selecting : allowing;
}

const named = (blocks: readonly RoleBlock[]): RoleBlock[] => blocks.slice(0, ROLES_NAMED);

function deniedBy({ checks }: RoleBlock, { dbUser, dbName }: Asked): string {
  const { field, entry } = checks.find(({ holds }) => holds)!;
  const by = entry === undefined ? '' : ` (deny.${field}: "${entry}")`;
  if (field === 'db_users')
    return `${dbUser === undefined ? 'every database user' : `the database user "${dbUser}"`}${by}`;
  if (field === 'db_names')
    return `${dbName === undefined ? 'every database name' : `the database name "${dbName}"`}${by}`;
  return `this database (deny.${field})`;
}

function lackOf({ checks }: RoleBlock, asked: Asked): string {
  return checks
    .filter(({ holds }) => !holds)
    .map((check) => lack(check, asked))
    .join(' and ');
}

/** What became of one question to a block, as a clause. */
export function checkText(check: Check, asked: Pick<Asked, 'dbUser' | 'dbName'>): string {
  const { field, holds, entry } = check;
  if (!holds) return lack(check, asked);
  if (field === 'db_labels') return 'has db_labels that match';
  if (field === 'db_labels_expression') return 'has a db_labels_expression that is true here';
  return `has "${entry ?? ''}" in ${field}`;
}

function lack({ field, entry }: Check, { dbUser, dbName }: Pick<Asked, 'dbUser' | 'dbName'>): string {
  const wanted = field === 'db_users' ? dbUser : dbName;
  switch (field) {
    case 'namespaces':
      return 'allows nothing in the namespace "default"';
    case 'db_labels':
      return !entry ? 'has no db_labels' : `has db_labels that do not match ("${entry}")`;
    case 'db_labels_expression':
      return 'has a db_labels_expression that is false here';
    default:
      return wanted === undefined ? `has nothing in ${field}` : `has no "${wanted}" in ${field}`;
  }
}

/** An edit as a sentence, without its full stop. */
export function changeText({ kind, value, target, side, field, key }: AccessChange, username: string): string {
  switch (kind) {
    case 'own-name':
      return `connect as the database user "${value}"`;
    case 'db-role':
      return `do not ask for the database role "${value}"`;
    case 'mfa':
      return 'use a second factor';
    case 'unlock':
      return `take away the lock "${target}"`;
    case 'trait':
      return `add "${value}" to the trait ${target} of ${username}`;
    case 'assign':
      return `give ${username} the role "${target}"`;
    case 'label':
      return `give the database the label ${target}=${value}`;
    case 'admin-user':
      return 'name an admin_user of the database, who makes its users';
    case 'role':
      return roleText({ value, target, side, field, key });
    default:
      // Of a newer Auth Service.
      return `${String(kind)} ${target}`;
  }
}

function roleText({ value, target, side, field, key }: Omit<AccessChange, 'kind' | 'values'>): string {
  const place = `${side}.${field} of role "${target}"`;
  if (value === '')
    return `write ${place} anew: ${side === 'allow' ? 'it must hold' : 'it must not hold'} for this database`;
  if (side === 'deny') return `take "${value}" out of ${place}`;
  return key === '' ? `add "${value}" to ${place}` : `add "${value}" to ${side}.${field}.${key} of role "${target}"`;
}
