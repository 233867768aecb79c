/**
 * The smallest change that would let somebody in. Candidates are edits as data; each set of them is applied to the same
 * question and decided again, and only what then lets her in is given. Pure. Why, and which is smaller: RFD 14.
 */
import type { LabelSelector, Role, RoleConditions, Traits } from '../resources/types.js';
import { decideAccess } from './check.js';
import type { AccessChange, DatabaseAccessRequest, Decision, RoleBlock } from './decision.js';
import { allLabels, type Check } from './match.js';
import { expandRole, expandValue } from './templates.js';

/** Who wants what, with roles as they are written. */
export interface AccessWish extends DatabaseAccessRequest {
  dbRoles: readonly string[];
  /** Roles that she has not and could be given. */
  others: readonly Role[];
}

/** Fewer edits are smaller; of as many, those that touch only her, then only this database, then all who have a role. */
const WEIGHTS: Record<AccessChange['kind'], number> = {
  'own-name': 0,
  'db-role': 0,
  mfa: 0,
  unlock: 0,
  trait: 0,
  assign: 1,
  label: 2,
  role: 3,
};
/** Heavier than any sum of them. */
const EDIT = 1000;
/** Sets of edits that are decided, the lightest first. */
const MOST_TRIED = 50;
/** Roles in whose deny something is taken away, one after the other. */
const MOST_ROUNDS = 100;

export function change(kind: AccessChange['kind'], value: string, more: Partial<AccessChange> = {}): AccessChange {
  return { kind, value, values: [], target: '', side: '', field: '', key: '', ...more };
}

/** The decision, with the templates of the roles filled in. */
export function decide(question: AccessWish): Decision {
  const { roles, traits } = question;
  return decideAccess({ ...question, roles: roles.map((role) => expandRole(role, traits)) });
}

/** Empty where she may enter, and where nothing was found. */
export function smallestChange(question: AccessWish): AccessChange[] {
  const decision = decide(question);
  if (decision.refusal === undefined) return [];
  const forced = unlocking(question);
  const freed = apply(question, forced);
  const sets = [[], ...grants(freed), ...assignments(freed)].sort((one, other) => weigh(one) - weigh(other));
  let best: AccessChange[] | undefined;
  for (const set of sets.slice(0, MOST_TRIED)) {
    const changes = [...forced, ...set];
    // What a role brings along may be a deny.
    const all = [...changes, ...unlocking(apply(question, changes))];
    if (best !== undefined && weigh(all) >= weigh(best)) continue;
    if (decide(apply(question, all)).refusal === undefined) best = all;
  }
  return best ?? [];
}

const weigh = (set: readonly AccessChange[]): number => set.reduce((sum, { kind }) => sum + EDIT + WEIGHTS[kind], 0);

/** What must go whatever else is given: denies, expressions that cannot be read, another name, a missing factor. */
function unlocking(question: AccessWish): AccessChange[] {
  const found: AccessChange[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const now = apply(question, found);
    const next = obstacles(now, decide(now));
    if (next.length === 0) break;
    found.push(...next);
  }
  return found;
}

function obstacles(question: AccessWish, { blocks, refusal, asksMfa }: Decision): AccessChange[] {
  if (refusal?.by === 'own-name') return [change('own-name', question.username)];
  if (asksMfa && !question.mfaVerified) return [change('mfa', '')];
  if (refusal?.by === 'db-roles') {
    const isRefused = (name: string) => decide({ ...question, dbRoles: [name] }).refusal?.by === 'db-roles';
    return question.dbRoles.filter(isRefused).map((name) => change('db-role', name));
  }
  return blocks.flatMap(({ role: target, side, checks }) =>
    checks
      .filter(({ holds, problem }) => problem !== undefined || (side === 'deny' && holds))
      .map(({ field, entry = '' }) => change('role', entry, { target, side, field })),
  );
}

/** For each role that she has, what its allow block lacks. */
function grants(question: AccessWish): AccessChange[][] {
  const { roles } = question;
  const allowing = decide(question).blocks.filter(({ side }) => side === 'allow');
  // One block a role, in their order.
  return allowing.flatMap((block, at) => lacks(question, block, roles[at]!));
}

/** For each role that she has not: the role, and what its allow block lacks then. */
function assignments(question: AccessWish): AccessChange[][] {
  const names = question.roles.map(({ metadata }) => metadata.name);
  return question.others.flatMap((role) => {
    const { name } = role.metadata;
    const block = decide({ ...question, roles: [role] }).blocks.find(({ side }) => side === 'allow')!;
    const assign = change('assign', name, { target: name, values: [...names, name] });
    return lacks(question, block, role).map((set) => [assign, ...set]);
  });
}

/** Sets of edits after which the block allows; none where it is not about databases. */
function lacks(question: AccessWish, { checks }: RoleBlock, role: Role): AccessChange[][] {
  return checks
    .filter(({ holds }) => !holds)
    .map((check) => waysTo(question, check, role))
    .reduce<AccessChange[][]>((sets, ways) => sets.flatMap((set) => ways.map((way) => [...set, way])), [[]]);
}

function waysTo(question: AccessWish, { field, entry }: Check, role: Role): AccessChange[] {
  const edit = (value: string, key = ''): AccessChange =>
    change('role', value, { target: role.metadata.name, side: 'allow', field, key });
  switch (field) {
    case 'namespaces':
      return [edit('default')];
    case 'db_labels_expression':
      return [edit('')];
    case 'db_labels': {
      // A role without labels is not about databases.
      if (entry === undefined) return [];
      const value = allLabels(question.database)[entry];
      if (value !== undefined) return [edit(value, entry)];
      const wanted = plainValue(expandRole(role, question.traits).spec.allow.db_labels, entry);
      return wanted === undefined ? [] : [change('label', wanted, { target: entry })];
    }
    default: {
      const wanted = field === 'db_users' ? question.dbUser : question.dbName;
      // Any will do, and which one the administrator has to say.
      if (wanted === undefined) return [];
      const traits = traitsOf(role.spec.allow[field] ?? []);
      const byTrait = traits.map((target) =>
        change('trait', wanted, { target, values: [...(question.traits[target] ?? []), wanted] }),
      );
      return [...byTrait, edit(wanted)];
    }
  }
}

/** A value that the selector has for a key and that is not a pattern. */
function plainValue(selector: LabelSelector | undefined, key: string): string | undefined {
  return [selector?.[key] ?? []].flat().find((value) => value !== '' && !value.includes('*') && !value.startsWith('^'));
}

/** Traits that an entry hands on as they are. */
function traitsOf(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => {
    const [, dotted, quoted] = /^\{\{\s*(?:internal|external)(?:\.([\w-]+)|\["([^"]+)"\])\s*\}\}$/.exec(entry) ?? [];
    const trait = dotted ?? quoted;
    // `internal` does not have every name.
    return trait !== undefined && expandValue(entry, { [trait]: ['x'] }).length > 0 ? [trait] : [];
  });
}

/** The same question after these edits. */
export function apply(question: AccessWish, changes: readonly AccessChange[]): AccessWish {
  return changes.reduce(applyOne, question);
}

function applyOne(question: AccessWish, one: AccessChange): AccessWish {
  const { roles, others, traits, database, dbRoles } = question;
  switch (one.kind) {
    case 'trait':
      return { ...question, traits: { ...traits, [one.target]: one.values } };
    case 'assign':
      return { ...question, roles: [...roles, ...others.filter(({ metadata }) => metadata.name === one.target)] };
    case 'label': {
      const labels = { ...database.metadata.labels, [one.target]: one.value };
      return { ...question, database: { ...database, metadata: { ...database.metadata, labels } } };
    }
    case 'own-name':
      return { ...question, dbUser: one.value };
    case 'db-role':
      return { ...question, dbRoles: dbRoles.filter((name) => name !== one.value) };
    case 'mfa':
      return { ...question, mfaVerified: true };
    case 'unlock':
      return question;
    case 'role': {
      const edited = (role: Role) => (role.metadata.name === one.target ? editedRole(role, one, traits) : role);
      return { ...question, roles: roles.map(edited), others: others.map(edited) };
    }
  }
}

function editedRole(role: Role, { side, field, key, value }: AccessChange, traits: Traits): Role {
  if (side === '' || field === '') return role;
  const conditions: RoleConditions = { ...role.spec[side] };
  if (side === 'deny') takeOut(conditions, field, value, traits);
  else if (field === 'db_labels') {
    conditions.db_labels = { ...conditions.db_labels, [key]: [conditions.db_labels?.[key] ?? [], value].flat() };
  } else if (field === 'db_labels_expression') conditions.db_labels_expression = 'true';
  else conditions[field] = [...(conditions[field] ?? []), value];
  return { ...role, spec: { ...role.spec, [side]: conditions } };
}

function takeOut(
  conditions: RoleConditions,
  field: Exclude<AccessChange['field'], ''>,
  value: string,
  traits: Traits,
): void {
  if (field === 'db_users' || field === 'db_names') {
    conditions[field] = conditions[field]?.filter((entry) => !expandValue(entry, traits).includes(value)) ?? [];
  } else delete conditions[field];
}
