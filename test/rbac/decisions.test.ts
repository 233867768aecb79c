/**
 * Teleport's own decisions as tables: what its tests say of roles, databases, users and names holds here, with our
 * reasons beside it where the trace has one.
 * Source: facts of Teleport 18.3.0, lib/services/role_test.go (access to databases, users, services; label expressions in
 * both blocks; traits) and label_expressions_test.go.
 * Tests: src/rbac/check.ts, src/rbac/decision.ts, src/rbac/explain.ts, src/rbac/text-functions.ts
 */
import { allowedNames, allowedUsers } from '../../src/rbac/allowed.js';
import { checkDatabaseAccess, decideAccess } from '../../src/rbac/check.js';
import type { DatabaseAccessRequest } from '../../src/rbac/decision.js';
import { evaluateLabelExpression } from '../../src/rbac/expression.js';
import { matchesLabels } from '../../src/rbac/labels.js';
import { matchesDatabase } from '../../src/rbac/match.js';
import { expandRole, expandValue } from '../../src/rbac/templates.js';
import { roleWithDefaults } from '../../src/resources/defaults.js';
import type {
  Database,
  LabelSelector,
  Role,
  RoleConditions,
  RoleOptions,
  RoleVersion,
  Traits,
} from '../../src/resources/types.js';

interface Parts {
  deny?: RoleConditions;
  options?: RoleOptions;
  version?: RoleVersion;
}

function role(name: string, allow: RoleConditions, { deny = {}, options = {}, version = 'v7' }: Parts = {}): Role {
  return roleWithDefaults({ kind: 'role', version, metadata: { name }, spec: { options, allow, deny } });
}

function database(name: string, labels: Record<string, string>, results: Record<string, string> = {}): Database {
  const commands = Object.entries(results).map(([key, result]) => [key, { period: '1m', command: ['x'], result }]);
  const dynamic = commands.length > 0 ? { dynamic_labels: Object.fromEntries(commands) } : {};
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name, labels },
    spec: { protocol: 'postgres', uri: 'h:1', ...dynamic },
  };
}

const stage = database('stage', { env: 'stage' });
const prod = database('prod', { env: 'prod' });

function ask(more: Partial<DatabaseAccessRequest>): DatabaseAccessRequest {
  return {
    username: 'alice',
    roles: [],
    traits: {},
    database: stage,
    dbUser: 'dev',
    dbName: 'test',
    mfaVerified: false,
    ...more,
  };
}
const mayEnter = (more: Partial<DatabaseAccessRequest>) => decideAccess(ask(more)).refusal === undefined;

const devStage = role(
  'dev-stage',
  { db_labels: { env: 'stage' }, db_names: ['*'], db_users: ['*'] },
  { version: 'v3', deny: { db_names: ['supersecret'] } },
);
/** Written for v4 and later: in v3 the labels that are not there select everything, and both must hold. */
const devProd = role('dev-prod', {
  db_labels_expression: 'labels["env"] == "prod"',
  db_names: ['test'],
  db_users: ['dev'],
});
const withMfa = role(
  'dev-prod-mfa',
  { db_labels: { env: 'prod' }, db_names: ['test'], db_users: ['dev'] },
  { options: { require_session_mfa: true } },
);
const deny = role(
  'deny',
  { db_names: ['*'], db_users: ['*'] },
  { version: 'v3', deny: { db_names: ['postgres'], db_users: ['postgres'] } },
);

describe('users and names of a database', () => {
  test.each<[string, Role[], Database, string, string, boolean]>([
    ['anything in stage', [devStage, devProd], stage, 'superuser', 'superdb', true],
    ['anything in stage', [devStage, devProd], stage, 'dev', 'test', true],
    ['but one name', [devStage, devProd], stage, 'dev', 'supersecret', false],
    ['one user and one name in prod', [devStage, devProd], prod, 'dev', 'test', true],
    ['one user and one name in prod', [devStage, devProd], prod, 'superuser', 'superdb', false],
    ['one user and one name in prod', [devStage, devProd], prod, 'dev', 'superdb', false],
    ['one user and one name in prod', [devStage, devProd], prod, 'superuser', 'test', false],
    ['a role of v3 that names no labels', [deny], prod, 'test', 'test', true],
    ['its deny', [deny], prod, 'test', 'postgres', false],
    ['its deny', [deny], prod, 'postgres', 'test', false],
  ])('%s: %#', (_, roles, on, dbUser, dbName, expected) => {
    expect(mayEnter({ roles, database: on, dbUser, dbName })).toBe(expected);
  });

  test.each<RoleVersion>(['v4', 'v5', 'v6', 'v7', 'v8'])(
    'a role of %s that names no labels selects nothing',
    (version) => {
      expect(mayEnter({ roles: [role('r', { db_names: ['*'], db_users: ['*'] }, { version })] })).toBe(false);
    },
  );

  test.each<[string, Role[], Database, boolean, boolean]>([
    ['stage asks for no second factor', [devStage, withMfa, devProd], stage, false, true],
    ['prod does, whichever role comes first', [devStage, withMfa, devProd], prod, false, false],
    ['prod does, whichever role comes first', [devProd, devStage, withMfa], prod, false, false],
    ['and has it', [devStage, withMfa, devProd], prod, true, true],
  ])('%s: %#', (_, roles, on, mfaVerified, expected) => {
    expect(mayEnter({ roles, database: on, mfaVerified })).toBe(expected);
  });

  test('what is offered: a deny in any role counts on every database', () => {
    const rootless = role(
      'a',
      { db_labels: { env: 'stage' }, db_users: ['*'], db_names: ['*'] },
      { deny: { db_users: ['root'], db_names: ['root'] } },
    );
    const dev = role('b', { db_labels: { env: 'prod' }, db_users: ['dev'], db_names: ['dev'] });
    const nothing = role('c', {}, { deny: { db_users: ['*'], db_names: ['*'] } });
    const sales = role('d', { db_labels: { env: 'sales' }, db_users: ['sales'], db_names: ['sales'] });
    expect(allowedUsers([rootless, dev], stage, 'alice')).toEqual({ allowed: ['*'], denied: ['root'] });
    expect(allowedNames([rootless, dev], prod)).toEqual({ allowed: ['dev'], denied: ['root'] });
    expect(allowedUsers([rootless, dev, nothing], prod, 'alice')).toEqual({ allowed: [], denied: ['*', 'root'] });
    expect(allowedUsers([sales, dev], prod, 'alice')).toEqual({ allowed: ['dev'], denied: [] });
  });
});

describe('labels of both blocks', () => {
  const options = ['unset', 'match', 'other'] as const;
  type Option = (typeof options)[number];
  const labels: Record<Option, RoleConditions> = {
    unset: {},
    match: { db_labels: { env: 'prod' } },
    other: { db_labels: { env: 'staging' } },
  };
  const expressions: Record<Option, RoleConditions> = {
    unset: {},
    match: { db_labels_expression: 'contains(user.spec.traits["allow-env"], labels["env"])' },
    other: { db_labels_expression: '!contains(user.spec.traits["allow-env"], labels["env"])' },
  };
  const cases = options.flatMap((al) =>
    options.flatMap((ae) => options.flatMap((dl) => options.map((de) => [al, ae, dl, de] as const))),
  );
  test.each(cases)('allow %s and expression %s, deny %s and expression %s', (al, ae, dl, de) => {
    const isRefused = [dl, de].includes('match') || [al, ae].includes('other') || (al === 'unset' && ae === 'unset');
    const one = role(
      'r',
      { ...labels[al], ...expressions[ae], db_users: ['*'], db_names: ['*'] },
      { deny: { ...labels[dl], ...expressions[de] } },
    );
    const traits = { 'allow-env': ['prod'] };
    expect(mayEnter({ roles: [one], database: prod, traits })).toBe(!isRefused);
    const sees =
      !matchesDatabase(one.spec.deny, prod, 'deny', traits) && matchesDatabase(one.spec.allow, prod, 'allow', traits);
    expect(sees).toBe(!isRefused);
  });

  test.each<[Database, boolean]>([
    [database('none', {}), false],
    [database('stage', { env: 'stage' }, { arch: 'x86' }), true],
    [database('stage2', { env: 'stage' }, { arch: 'amd64' }), false],
    [prod, false],
  ])('traits, and what a command of the agent says: %#', (on, expected) => {
    const dev = role(
      'dev',
      {
        db_labels_expression: 'contains(user.spec.traits["allow-env"], labels["env"])',
        db_users: ['*'],
        db_names: ['*'],
      },
      { deny: { db_labels: { arch: 'amd64' } } },
    );
    expect(mayEnter({ roles: [dev], database: on, traits: { 'allow-env': ['stage'] } })).toBe(expected);
  });

  test.each<[LabelSelector, boolean]>([
    [{ '*': '*', env: 'staging' }, true],
    [{ '*': ['*'] }, true],
    [{ env: ['staging', '*'] }, true],
    [{ env: 'pro' }, false],
    [{ env: 'p.od' }, false],
    [{ env: '^p.od$' }, true],
    [{ env: 'PROD' }, false],
    [{ constructor: '*' }, false],
  ])('%j selects env=prod: %s', (selector, expected) => {
    expect(matchesLabels(selector, { env: 'prod' })).toBe(expected);
  });
});

describe('label expressions', () => {
  const projects = { 'project-name': 'skunkworks', 'project-label': 'secret' };
  const two = { 'project-primary': 'parser', 'project-secondary': 'algorithms' };
  const traits: Traits = {
    'allow-env': ['dev', 'staging'],
    groups: ['devs', 'team-security'],
    projects: ['parser', 'skunkworks', 'algorithms'],
    few: ['parser', 'algorithms'],
    email: ['test@example.com'],
    'full email': ['Test <test@example.com>'],
    logins: ['test', 'Name'],
  };
  const ANY = 'contains_any(user.spec.traits["projects"], labels_matching("project-*"))';
  const ALL = 'contains_all(user.spec.traits["projects"], labels_matching("project-*"))';
  test.each<[string, Record<string, string>, boolean]>([
    ['labels["env"] == "staging"', { env: 'staging' }, true],
    ['labels["env"] != "production"', { env: 'production' }, false],
    ['contains(user.spec.traits["allow-env"], labels["env"])', { env: 'production' }, false],
    [
      'contains(user.spec.traits["allow-env"], labels["env"]) &&\n contains(user.spec.traits["groups"], labels["group"]) ||\n contains(user.spec.traits["groups"], "admin")',
      { env: 'staging', group: 'devs' },
      true,
    ],
    [
      'regexp.match(labels["owner"], "dev-*") && !regexp.match(labels["env"], "^prod.*$")',
      { owner: 'dev-1', env: 'staging' },
      true,
    ],
    ['regexp.match(labels["owner"], "ev-")', { owner: 'dev-1' }, false],
    [
      'contains( // with a list\n regexp.replace(user.spec.traits["groups"], "^team-(.*)$", "$1"), labels["team"]) && /* with a text */ contains(regexp.replace(labels["env"], "^(.*)$", "env-$1"), "env-staging")',
      { team: 'security', env: 'staging' },
      true,
    ],
    ['contains(email.local(user.spec.traits["email"]), labels["owner"])', { owner: 'test' }, true],
    ['contains(email.local(user.spec.traits["full email"]), labels["owner"])', { owner: 'test' }, true],
    [
      'contains(strings.lower(user.spec.traits["logins"]), "name") && contains(strings.upper(labels["env"]), "STAGING")',
      { env: 'staging' },
      true,
    ],
    ['contains(labels_matching("^project-(name|label)$"), "skunkworks")', projects, true],
    ['contains(labels_matching("^project-(name|label)$"), "secret")', projects, true],
    ['contains(labels_matching("project-*"), "skunkworks")', { project: 'skunkworks' }, false],
    [ANY, projects, true],
    [ANY, { team: 'security' }, false],
    ['contains_any(user.spec.traits["few"], labels_matching("project-*"))', projects, false],
    ['contains_any(user.spec.traits["nope"], labels_matching("project-*"))', projects, false],
    [ALL, two, true],
    [ALL, { ...two, 'project-label': 'secret' }, false],
    [ALL, { team: 'security' }, false],
    ['contains_all(user.spec.traits["nope"], labels_matching("project-*"))', two, false],
  ])('%s: %#', (text, labels, expected) => {
    expect(evaluateLabelExpression(text, { labels, traits })).toBe(expected);
  });

  test.each([
    ['user.spec.traits["allow-env"] == "staging"'],
    ['contains(labels, "env")'],
    ['contains(email.local(user.spec.traits["logins"]), "test")'],
    ['contains(labels_matching("^project-($"), "x")'],
    ['regexp.match(labels["env"], "^($")'],
    ['labels["env"] == "a" /* no end'],
  ])('%s is an error', (text) => {
    expect(() => evaluateLabelExpression(text, { labels: { env: 'a' }, traits })).toThrow(/^parsing label expression/);
  });
});

describe('templates with traits', () => {
  const traits = { foo: ['Bar <bar@example.com>', 'bar-baz'], email: ['ab_cd@example.com'] };
  test.each<[string, string[]]>([
    ['{{email.local(external.foo)}}', ['bar']],
    ['{{regexp.replace(external.foo, "^bar-(.*)$", "$1")}}', ['baz']],
    ['{{regexp.replace(external.email, "_", "")}}', ['abcd@example.com']],
    ['{{regexp.replace(email.local(external.email), "_", "")}}', ['abcd']],
    ['{{email.local(regexp.replace(external.email, "d", "e"))}}', ['ab_ce']],
    [
      '{{regexp.replace(regexp.replace(email.local(regexp.replace(external.email, "cd", "z")), "ab", "xy"), "_", "")}}',
      ['xyz'],
    ],
    ['{{regexp.replace("vitor@gravitational.com", "gravitational", "goteleport")}}', ['vitor@goteleport.com']],
    ['{{email.local("vitor@goteleport.com")}}', ['vitor']],
    ['{{regexp.replace(external.email, "^.*$", "")}}', []],
    ['{{regexp.replace(external.email, "(", "")}}', []],
  ])('%s → %j', (entry, expected) => expect(expandValue(entry, traits)).toEqual(expected));

  test('a key of db_labels takes the first value, its values take all', () => {
    const { allow } = expandRole(role('r', { db_labels: { '{{external.key}}': ['{{external.envs}}', 'x'] } }), {
      key: ['env', 'other'],
      envs: ['dev', 'prod'],
    }).spec;
    expect(allow.db_labels).toEqual({ env: ['dev', 'prod', 'x'] });
  });
});

describe('the trace is what decided', () => {
  const trace = (more: Partial<DatabaseAccessRequest>) =>
    decideAccess(ask(more)).blocks.map(({ role: name, side, applies, checks }) => [
      `${side} ${name} ${applies ? 'applies' : '-'}`,
      ...checks.map(({ field, holds, entry }) => `${field} ${holds ? '+' : '-'}${entry ?? ''}`),
    ]);

  test('each block with each answer, the deny blocks first, and on behind the first refusal', () => {
    expect(trace({ roles: [devStage, devProd, deny], dbName: 'supersecret', dbUser: 'postgres' })).toEqual([
      ['deny dev-stage applies', 'db_names +supersecret'],
      ['deny deny applies', 'db_users +postgres', 'db_names -'],
      ['allow dev-stage applies', 'db_labels +', 'db_users +*', 'db_names +*'],
      ['allow dev-prod -', 'db_labels_expression -', 'db_users -', 'db_names -'],
      ['allow deny applies', 'db_labels +', 'db_users +*', 'db_names +*'],
    ]);
  });

  const REFUSED = 'access to db denied. User does not have permissions. Confirm database user and name.';
  const broken = role('broken', { db_labels_expression: 'labels[' });
  test.each<[string, Partial<DatabaseAccessRequest>, string, RegExp]>([
    [
      'a name',
      { roles: [devStage], dbName: 'supersecret' },
      REFUSED,
      /role "dev-stage" denies the database name "supersecret" \(deny.db_names: "supersecret"\)/,
    ],
    ['a user', { roles: [deny], dbUser: 'postgres' }, REFUSED, /role "deny" denies the database user "postgres"/],
    [
      'no user',
      { roles: [devProd], database: prod, dbUser: 'root' },
      REFUSED,
      /role "dev-prod" has no "root" in db_users\./,
    ],
    [
      'neither',
      { roles: [devProd], database: prod, dbUser: 'a', dbName: 'b' },
      REFUSED,
      /has no "a" in db_users and has no "b" in db_names/,
    ],
    [
      'a second factor',
      { roles: [withMfa], database: prod },
      'access to resource requires MFA',
      /a second factor is asked for/,
    ],
    [
      'an expression',
      { roles: [devStage, broken] },
      'parsing label expression',
      /allow.db_labels_expression of role "broken" cannot be read/,
    ],
  ])('a refusal says who, what and why: %s', (_, more, message, hint) => {
    let refused: { message: string; hint: string } | undefined;
    try {
      checkDatabaseAccess(ask(more));
    } catch (error) {
      refused = error as typeof refused;
    }
    expect(refused?.message).toContain(message);
    expect(refused?.hint).toMatch(/^User alice, database "(stage|prod)", database user "\w+", database name "\w+": /);
    expect(refused?.hint).toMatch(hint);
  });

  test('of a database that she may not see, it says nothing', () => {
    const hint = (roles: Role[]) => {
      try {
        checkDatabaseAccess(ask({ roles, database: prod }));
      } catch (error) {
        return (error as { hint: string }).hint;
      }
      return undefined;
    };
    const hidden = hint([devStage]);
    expect(hidden).toContain('no role of alice selects a database of that name');
    const excluding = role('x', {}, { deny: { db_labels: { env: 'prod' } } });
    expect(hint([devProd, excluding])).toBe(hidden);
  });

  test('without a user or a name: is there any, of one role, that no other takes away?', () => {
    const any = { dbUser: undefined, dbName: undefined };
    expect(mayEnter({ roles: [devProd], database: prod, ...any })).toBe(true);
    expect(mayEnter({ roles: [role('r', { db_labels: { env: 'stage' }, db_users: ['a'] })], ...any })).toBe(false);
    const taken = role('t', {}, { deny: { db_users: ['dev'] } });
    expect(mayEnter({ roles: [devProd, taken], database: prod, ...any })).toBe(false);
    expect(mayEnter({ roles: [devStage, taken], ...any })).toBe(true);
  });
});

describe('a decision over a thousand roles', () => {
  /** How often a value is read. */
  function counted<T extends object, K extends keyof T>(holder: T, key: K): () => number {
    let reads = 0;
    const value = holder[key];
    const get = () => {
      reads++;
      return value;
    };
    Object.defineProperty(holder, key, { enumerable: true, get });
    return () => reads;
  }

  test('reads the database once, and each list of entries once for the name that is asked for', () => {
    const roles = Array.from({ length: 1_000 }, (_, at) =>
      role(
        `r${at}`,
        { db_labels: { env: `e${at}` }, db_users: [`u${at}`], db_names: ['*'] },
        { deny: { db_users: ['adm*'] } },
      ),
    );
    const on = database('d', { env: 'e7' });
    const labels = counted(on.metadata, 'labels');
    const users = roles.map(({ spec }) => counted(spec.allow, 'db_users'));
    expect(mayEnter({ roles, database: on, dbUser: 'u7' })).toBe(true);
    expect(labels()).toBeLessThanOrEqual(2);
    expect(Math.max(...users.map((reads) => reads()))).toBeLessThanOrEqual(1);
  });
});
