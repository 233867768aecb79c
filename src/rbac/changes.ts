/**
 * The smallest change that would let somebody in. Candidates are edits as data; each set of them is applied to the same
 * question and decided again, and only what then lets her in is given. Roles and wishes are as long as others made them, so it
 * works in slices. Why, and which is smaller: RFD 14.
 */
import type { LabelSelector, Role, RoleConditions, Traits } from '../resources/types.js';
import { Slices } from '../slices.js';
import { autoUserLack, autoUserRoles, roleMode } from './auto-users.js';
import { decideAccess } from './check.js';
import type { AccessChange, DatabaseAccessRequest, Decision, RoleBlock } from './decision.js';
import { allLabels, type Check, matchesDatabase } from './match.js';
import { expandRole, expandValue, mayBeTemplate } from './templates.js';

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
  'admin-user': 2,
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
export async function smallestChange(question: AccessWish): Promise<AccessChange[]> {
  const decision = decide(question);
  if (decision.refusal === undefined) return [];
  const slices = new Slices();
  const forced = await unlocking(question, slices);
  const freed = apply(question, forced);
  let best: AccessChange[] | undefined;
  for (const set of await candidates(freed, slices)) {
    // What a role brings along may be a deny.
    const changed = apply(freed, set);
    const denied = await unlocking(changed, slices);
    const all = [...forced, ...set, ...denied];
    if (best !== undefined && weigh(all) >= weigh(best)) continue;
    if (decide(apply(changed, denied)).refusal === undefined) best = all;
  }
  return withWholeLists(question, best ?? []);
}

/** Traits as they are after each edit: two of one trait are made one after the other. */
function withWholeLists({ traits }: AccessWish, changes: readonly AccessChange[]): AccessChange[] {
  const now = new Map(Object.entries(traits));
  return changes.map((one) => {
    if (one.kind !== 'trait') return one;
    const values = [...(now.get(one.target) ?? []), one.value];
    now.set(one.target, values);
    return { ...one, values };
  });
}

const isSame = (one: AccessChange, other: AccessChange): boolean =>
  one.kind === other.kind && one.target === other.target && one.value === other.value && one.field === other.field;

const weigh = (set: readonly AccessChange[]): number => set.reduce((sum, { kind }) => sum + EDIT + WEIGHTS[kind], 0);

/** Of as many sets as there are, those that will be tried; of as light ones the first. @param sets  such ones already */
function lightest(sets: AccessChange[][], more: AccessChange[][]): AccessChange[][] {
  const last = sets[MOST_TRIED - 1];
  const lighter = last === undefined ? more : more.filter((set) => weigh(set) < weigh(last));
  if (lighter.length === 0) return sets;
  return [...sets, ...lighter].sort((one, other) => weigh(one) - weigh(other)).slice(0, MOST_TRIED);
}

/** What must go whatever else is given: denies, expressions that cannot be read, another name, a missing factor. */
async function unlocking(question: AccessWish, slices: Slices): Promise<AccessChange[]> {
  const found: AccessChange[] = [];
  let now = question;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await slices.next();
    const next = obstacles(now, decide(now));
    if (next.length === 0) break;
    found.push(...next);
    now = apply(now, next);
  }
  return found;
}

function obstacles(question: AccessWish, { blocks, refusal, asksMfa }: Decision): AccessChange[] {
  if (refusal?.by === 'no-auto-user' && autoUserLack(question.database) === 'admin') return [change('admin-user', '')];
  if (refusal?.by === 'own-name') {
    // Nobody is given another name.
    return refusal.code === 'BadParameter' ? [] : [change('own-name', question.username)];
  }
  if (asksMfa && !question.mfaVerified) return [change('mfa', '')];
  if (refusal?.by === 'db-roles') return waysToRoles(question);
  return blocks.flatMap(({ role: target, side, checks }) =>
    checks
      .filter(({ holds, problem }) => problem !== undefined || (side === 'deny' && holds))
      .map(({ field, entry = '' }) => change('role', entry, { target, side, field })),
  );
}

/** For the database roles that she asks for and is not given: by a trait of hers, by a role of hers, or she asks for others. */
function waysToRoles(question: AccessWish): AccessChange[] {
  const { roles, traits, database } = question;
  const names = refusedRoles(question);
  if (!names.every(isPlain)) return names.map((name) => change('db-role', name));
  const giving = roles.filter((role) => {
    const { allow } = expandRole(role, traits).spec;
    return roleMode(role) !== 'off' && matchesDatabase(allow, database, 'allow', traits);
  });
  const byTrait = giving
    .flatMap(({ spec }) => traitsOf(spec.allow.db_roles ?? []))
    .map((target) => names.map((name) => change('trait', name, { target })));
  const byRole = giving.map(({ metadata }) =>
    names.map((name) => change('role', name, { target: metadata.name, side: 'allow', field: 'db_roles' })),
  );
  const isEnough = (set: AccessChange[]) => refusedRoles(apply(question, set)).length === 0;
  return [...byTrait, ...byRole].find(isEnough) ?? names.map((name) => change('db-role', name));
}

function refusedRoles({ roles, traits, database, dbRoles }: AccessWish): string[] {
  const expanded = roles.map((role) => expandRole(role, traits));
  const given = new Set(autoUserRoles(expanded, database, [], traits));
  return [...new Set(dbRoles)].filter((name) => !given.has(name));
}

/** Sets of edits by which she could come in, the lightest first. */
async function candidates(question: AccessWish, slices: Slices): Promise<AccessChange[][]> {
  const { roles, others } = question;
  const allowing = decide(question).blocks.filter(({ side }) => side === 'allow');
  let sets: AccessChange[][] = [[]];
  // One block for each role that she has, in their order.
  for (const [at, block] of allowing.entries()) {
    await slices.next();
    sets = lightest(sets, lacks(question, block, roles[at]!));
  }
  const names = roles.map(({ metadata }) => metadata.name);
  for (const role of others) {
    await slices.next();
    const { name } = role.metadata;
    const block = decide({ ...question, roles: [role] }).blocks.find(({ side }) => side === 'allow')!;
    const assign = change('assign', name, { target: name, values: [...names, name] });
    const assigned = lacks(question, block, role).map((set) => [assign, ...set]);
    sets = lightest(sets, assigned);
  }
  return sets;
}

/** The lightest sets of edits after which the block allows; none where it is not about databases. */
function lacks(question: AccessWish, { checks }: RoleBlock, role: Role): AccessChange[][] {
  return checks
    .filter(({ holds }) => !holds)
    .map((check) =>
      lightest(
        [],
        waysTo(question, check, role).map((way) => [way]),
      ),
    )
    .reduce(
      (sets, ways) =>
        lightest(
          [],
          // One value of a trait may be the user and the name of the database.
          sets.flatMap((set) =>
            ways.map((way) => [...set, ...way.filter((one) => !set.some((had) => isSame(had, one)))]),
          ),
        ),
      [[]],
    );
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
      // Others wrote it, and a rule would take a pattern for more than itself.
      if (value !== undefined) return isPlain(value) ? [edit(value, entry)] : [];
      const wanted = plainValue(expandRole(role, question.traits).spec.allow.db_labels, entry);
      return wanted === undefined ? [] : [change('label', wanted, { target: entry })];
    }
    default: {
      const wanted = field === 'db_users' ? question.dbUser : question.dbName;
      // Any will do, and which one the administrator has to say.
      if (wanted === undefined || !isPlain(wanted)) return [];
      const traits = traitsOf(role.spec.allow[field] ?? []);
      const byTrait = traits.map((target) => change('trait', wanted, { target }));
      return [...byTrait, edit(wanted)];
    }
  }
}

/** A value that the selector has for a key and that is not a pattern. */
function plainValue(selector: LabelSelector | undefined, key: string): string | undefined {
  return [selector?.[key] ?? []].flat().find((value) => value !== '' && isPlain(value));
}

/** Whether it stands for itself wherever it is written in a role, and not for others as a pattern or a template does. */
const isPlain = (value: string): boolean => !value.includes('*') && !value.startsWith('^') && !mayBeTemplate(value);

/** Traits that an entry hands on as they are. */
function traitsOf(entries: readonly string[]): string[] {
  return entries.flatMap((entry) => {
    const [, dotted, quoted] = /^\{\{\s*(?:internal|external)(?:\.([\w-]+)|\["([^"]+)"\])\s*\}\}$/.exec(entry) ?? [];
    const trait = dotted ?? quoted;
    // `internal` does not have every name.
    return trait !== undefined && expandValue(entry, { [trait]: ['x'] }).length > 0 ? [trait] : [];
  });
}

/** The same question after these edits, one after the other. */
export function apply(question: AccessWish, changes: readonly AccessChange[]): AccessWish {
  const unasked = new Set(changes.filter(({ kind }) => kind === 'db-role').map(({ value }) => value));
  const dbRoles = unasked.size === 0 ? question.dbRoles : question.dbRoles.filter((name) => !unasked.has(name));
  return changes.reduce(applyOne, { ...question, dbRoles });
}

function applyOne(question: AccessWish, one: AccessChange): AccessWish {
  const { roles, others, traits, database } = question;
  switch (one.kind) {
    case 'trait':
      return { ...question, traits: { ...traits, [one.target]: [...(traits[one.target] ?? []), one.value] } };
    case 'assign':
      return { ...question, roles: [...roles, ...others.filter(({ metadata }) => metadata.name === one.target)] };
    case 'label': {
      const labels = { ...database.metadata.labels, [one.target]: one.value };
      return { ...question, database: { ...database, metadata: { ...database.metadata, labels } } };
    }
    case 'admin-user': {
      const admin = { name: 'admin' }; // whoever it will be
      return { ...question, database: { ...database, spec: { ...database.spec, admin_user: admin } } };
    }
    case 'own-name':
      return { ...question, dbUser: one.value };
    case 'mfa':
      return { ...question, mfaVerified: true };
    case 'db-role': // All of them at once, in `apply`.
    case 'unlock':
      return question;
    case 'role': {
      const edited = (role: Role) => (role.metadata.name === one.target ? editedRole(role, one, traits) : role);
      return { ...question, roles: roles.map(edited) };
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
  // No longer what is stored under its revision.
  const { revision: _, ...metadata } = role.metadata;
  return { ...role, metadata, spec: { ...role.spec, [side]: conditions } };
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
