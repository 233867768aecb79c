/** Every change that is given lets the person in, and nothing of it can be left out. */
import { randomUUID } from 'node:crypto';
import { allowedUsers, entrances } from '../../src/rbac/allowed.js';
import { type AccessWish, apply, change, decide, smallestChange } from '../../src/rbac/changes.js';
import { changeText, reasonsOf } from '../../src/rbac/explain.js';
import { expandRole } from '../../src/rbac/templates.js';
import type { Database, Role, RoleConditions, RoleOptions } from '../../src/resources/types.js';

function role(name: string, allow: RoleConditions, deny: RoleConditions = {}, options: RoleOptions = {}): Role {
  // As from the store: what was made of a revision is kept, and an edit is another.
  const metadata = { name, revision: randomUUID() };
  return { kind: 'role', version: 'v7', metadata, spec: { options, allow, deny } };
}

function wish(more: Partial<AccessWish>): AccessWish {
  return {
    username: 'alice',
    roles: [],
    others: [],
    traits: {},
    database: PROD,
    dbUser: 'reader',
    dbName: 'dev',
    dbRoles: [],
    mfaVerified: true,
    ...more,
  };
}

const spec = { protocol: 'postgres', uri: 'h:1' };
const PROD: Database = { kind: 'db', version: 'v3', metadata: { name: 'sales', labels: { env: 'prod' } }, spec };
const BARE: Database = { ...PROD, metadata: { name: 'bare' } };
const AUTO: Database = { ...PROD, spec: { ...spec, admin_user: { name: 'admin' } } };
const TEMPLATES = { db_users: ['{{internal.db_users}}'], db_names: ['{{internal.db_names}}'] };
const access = role('access', { db_labels: { '*': '*' }, ...TEMPLATES });
const prod = role('prod', { db_labels: { env: 'prod' }, db_users: ['reader'], db_names: ['*'] });
const dev = role('dev', { db_labels: { env: 'dev' }, db_users: ['reader'], db_names: ['*'] });
const editor = role('editor', { rules: [{ resources: ['role'], verbs: ['*'] }] });
const auto = role(
  'auto',
  { db_labels: { env: 'prod' }, db_names: ['*'], db_roles: ['r'] },
  {},
  { create_db_user_mode: 'keep' },
);

const ofTrait = { db_names: ['*'], db_roles: ['{{internal.db_roles}}'] };
const autoByTrait = role('by-trait', { db_labels: { env: 'prod' }, ...ofTrait }, {}, { create_db_user_mode: 'keep' });
const elsewhere = role('elsewhere', { db_labels: { env: 'dev' }, ...ofTrait }, {}, { create_db_user_mode: 'keep' });

const ofOneTrait = role('one', { db_labels: { '*': '*' }, db_users: ['{{external.x}}'], db_names: ['{{external.x}}'] });

const cases: [string, Partial<AccessWish>, string[]][] = [
  ['nothing is asked of who may enter', { roles: [prod] }, []],
  [
    'traits, which are hers alone, before roles',
    { roles: [access], traits: { db_names: ['x'] } },
    ['add "reader" to the trait db_users of alice', 'add "dev" to the trait db_names of alice'],
  ],
  [
    'one trait is missing',
    { roles: [access], traits: { db_users: ['reader'] } },
    ['add "dev" to the trait db_names of alice'],
  ],
  ['an entry of her role', { roles: [prod], dbUser: 'writer' }, ['add "writer" to allow.db_users of role "prod"']],
  ['an existing role is smaller than two traits', { roles: [access], others: [prod] }, ['give alice the role "prod"']],
  [
    'a trait is smaller than a role',
    { roles: [access], traits: { db_users: ['reader'] }, others: [prod] },
    ['add "dev" to the trait db_names of alice'],
  ],
  [
    'a role that is not about databases gives nothing',
    { roles: [editor], others: [prod] },
    ['give alice the role "prod"'],
  ],
  [
    'no role at all',
    { others: [access] },
    [
      'give alice the role "access"',
      'add "reader" to the trait db_users of alice',
      'add "dev" to the trait db_names of alice',
    ],
  ],
  ['labels of her role', { roles: [dev] }, ['add "prod" to allow.db_labels.env of role "dev"']],
  ['a database without the label', { roles: [dev], database: BARE }, ['give the database the label env=dev']],
  [
    'an expression',
    { roles: [role('e', { db_labels_expression: 'labels["env"] == "x"', db_users: ['*'], db_names: ['*'] })] },
    ['write allow.db_labels_expression of role "e" anew: it must hold for this database'],
  ],
  [
    'a deny by pattern',
    { roles: [prod, role('no', {}, { db_users: ['read*'] })] },
    ['take "read*" out of deny.db_users of role "no"'],
  ],
  [
    'two denies, one entry after the other',
    { roles: [prod, role('no', {}, { db_users: ['read*', 'reader'], db_names: ['dev'] })] },
    [
      'take "read*" out of deny.db_users of role "no"',
      'take "dev" out of deny.db_names of role "no"',
      'take "reader" out of deny.db_users of role "no"',
    ],
  ],
  [
    'a deny from a trait',
    { roles: [prod, role('no', {}, { db_users: ['{{external.banned}}'] })], traits: { banned: ['reader'] } },
    ['take "reader" out of deny.db_users of role "no"'],
  ],
  [
    'a deny by labels',
    { roles: [prod, role('no', {}, { db_labels: { env: '*' } })] },
    ['write deny.db_labels of role "no" anew: it must not hold for this database'],
  ],
  [
    'an expression that cannot be read',
    { roles: [prod, role('bad', {}, { db_labels_expression: '(' })] },
    ['write deny.db_labels_expression of role "bad" anew: it must not hold for this database'],
  ],
  [
    'a role that brings a deny is larger',
    { others: [role('a', prod.spec.allow, { db_names: ['dev'] }), prod] },
    ['give alice the role "prod"'],
  ],
  ...['*', 'pro*', '^.*$', '{{internal.logins}}'].map((env): (typeof cases)[number] => [
    `R-D-4 nothing that somebody else chose so that it would select more: a label ${env}`,
    { roles: [dev], database: { ...PROD, metadata: { name: 'sales', labels: { env } } } },
    [],
  ]),
  ['R-D-4 nor every database user', { roles: [prod], dbUser: '*' }, []],
  ['R-D-4 nor every database user, by a trait', { roles: [access], dbUser: '*' }, []],
  [
    'R-D-4 nor a template as a database role',
    { roles: [auto, autoByTrait], database: AUTO, dbUser: 'alice', dbRoles: ['{{external.x}}'] },
    ['do not ask for the database role "{{external.x}}"'],
  ],
  [
    'R-D-5 a value that is both the user and the name of the database, once',
    { roles: [ofOneTrait], dbUser: 'dev' },
    ['add "dev" to the trait x of alice'],
  ],
  [
    'a second factor',
    { roles: [role('m', prod.spec.allow, {}, { require_session_mfa: true })], mfaVerified: false },
    ['use a second factor'],
  ],
  ['her own name', { roles: [auto], database: AUTO }, ['connect as the database user "alice"']],
  [
    'database roles that her role does not give',
    { roles: [auto], database: AUTO, dbUser: 'alice', dbRoles: ['r', 'x', 'y'] },
    ['add "x" to allow.db_roles of role "auto"', 'add "y" to allow.db_roles of role "auto"'],
  ],
  [
    'database roles that a trait of hers can give',
    { roles: [auto, autoByTrait], database: AUTO, dbUser: 'alice', dbRoles: ['x', 'y'] },
    ['add "x" to the trait db_roles of alice', 'add "y" to the trait db_roles of alice'],
  ],
  [
    'a database role that a trait gives only where its role selects the database',
    { roles: [auto, elsewhere], database: AUTO, dbUser: 'alice', dbRoles: ['x'] },
    ['add "x" to allow.db_roles of role "auto"'],
  ],
  [
    'somebody who makes users',
    { roles: [auto], dbUser: 'alice' },
    ['name an admin_user of the database, who makes its users'],
  ],
  [
    'somebody who makes users, her own name, a role and a database name',
    { roles: [role('n', { ...auto.spec.allow, db_names: ['x'] }, {}, auto.spec.options)], dbRoles: ['r', 'x'] },
    [
      'name an admin_user of the database, who makes its users',
      'connect as the database user "alice"',
      'add "dev" to allow.db_names of role "n"',
      'add "x" to allow.db_roles of role "n"',
    ],
  ],
  [
    'a role without the namespace',
    { roles: [role('n', { ...prod.spec.allow, namespaces: [] })] },
    ['add "default" to allow.namespaces of role "n"'],
  ],
  [
    'nobody could say which user',
    { roles: [role('u', { db_labels: { env: 'prod' }, db_names: ['*'] })], dbUser: undefined },
    [],
  ],
];

test.each(cases)('%s', async (_, more, expected) => {
  const question = wish(more);
  const changes = await smallestChange(question);
  expect(changes.map((one) => changeText(one, 'alice'))).toEqual(expected);
  if (expected.length === 0) return;
  expect(decide(question).refusal).toBeDefined();
  expect(decide(apply(question, changes)).refusal).toBeUndefined();
  for (const one of changes) {
    const others = changes.filter((change) => change !== one);
    expect([changeText(one, 'alice'), decide(apply(question, others)).refusal]).not.toEqual([
      expect.anything(),
      undefined,
    ]);
  }
});

test('roles that want an automatic user where there can be none refuse', () => {
  const { refusal } = decide(wish({ roles: [auto, prod], dbUser: 'alice' }));
  expect(refusal).toMatchObject({ by: 'no-auto-user', code: 'NotImplemented' });
});

test('where Serverless refuses automatic users no change of hers helps', async () => {
  const serverless = { ...PROD, spec: { ...spec, aws: { redshift_serverless: { workgroup_name: 'w' } } } };
  expect(await smallestChange(wish({ roles: [auto], dbUser: 'alice', database: serverless }))).toEqual([]);
});

test('a change of a list says the whole list', async () => {
  const [trait] = await smallestChange(wish({ roles: [access], traits: { db_users: ['a'], db_names: ['dev'] } }));
  expect(trait).toMatchObject({ kind: 'trait', target: 'db_users', values: ['a', 'reader'] });
  const [assign] = await smallestChange(wish({ roles: [editor], others: [prod] }));
  expect(assign).toMatchObject({ kind: 'assign', values: ['editor', 'prod'] });
});

test('R-D-5 two changes of one trait are made one after the other', async () => {
  const changes = await smallestChange(wish({ roles: [ofOneTrait], traits: { x: ['a'] } }));
  expect(changes).toMatchObject([
    { kind: 'trait', target: 'x', values: ['a', 'reader'] },
    { kind: 'trait', target: 'x', values: ['a', 'reader', 'dev'] },
  ]);
});

describe('what is looked at', () => {
  let reads = 0;
  beforeEach(() => {
    reads = 0;
  });
  const counted = (made: Role): Role => {
    const { allow } = made.spec;
    const get = () => {
      reads++;
      return allow;
    };
    Object.defineProperty(made.spec, 'allow', { enumerable: true, get });
    return made;
  };
  const readsOf = async (more: Partial<AccessWish>): Promise<number> => {
    reads = 0;
    await smallestChange(wish(more));
    return reads;
  };

  test('grows with the roles, not with their square', async () => {
    const others = (count: number) =>
      Array.from({ length: count }, (_, at) =>
        counted(role(`r${at}`, { db_labels: { env: 'dev' }, db_users: ['x'], db_names: ['y'] })),
      );
    const few = await readsOf({ others: others(100) });
    expect(await readsOf({ others: others(400) })).toBeLessThanOrEqual(few * 4);
  });

  test('R-A-H4 database roles that are asked for cost no decision each, and taking them back reads them once', async () => {
    const names = (count: number) => Array.from({ length: count }, (_, at) => `x${at}`);
    const asked = (dbRoles: string[]) => ({
      roles: [counted(structuredClone(auto))],
      database: AUTO,
      dbUser: 'alice',
      dbRoles,
    });
    expect(await readsOf(asked(names(400)))).toBe(await readsOf(asked(names(4))));
    let gets = 0;
    const get = (list: string[], key: string | symbol) => {
      gets++;
      return Reflect.get(list, key);
    };
    const question = wish(asked(new Proxy(names(400), { get })));
    const changes = names(400).map((name) => change('db-role', name));
    expect(apply(question, changes).dbRoles).toEqual([]);
    expect(gets).toBeLessThan(2_000);
  });

  test('R-A-H4 many roles are looked at in slices, between which others have their turn', async () => {
    const others = Array.from({ length: 5_000 }, (_, at) =>
      role(`r${at}`, { db_labels: { env: 'dev' }, db_users: ['x'], db_names: ['y'] }),
    );
    const order: string[] = [];
    const found = smallestChange(wish({ others })).then(() => order.push('the change'));
    setImmediate(() => order.push('somebody else'));
    await found;
    expect(order).toEqual(['somebody else', 'the change']);
  });

  test('R-A-H4 of many traits on both sides only the lightest pairs are made', async () => {
    const templates = (letter: string) => Array.from({ length: 5_000 }, (_, at) => `{{external.${letter}${at}}}`);
    const many = role('many', { db_labels: { env: 'prod' }, db_users: templates('u'), db_names: templates('n') });
    const changes = await smallestChange(wish({ roles: [many] }));
    expect(changes.map((one) => changeText(one, 'alice'))).toEqual([
      'add "reader" to the trait u0 of alice',
      'add "dev" to the trait n0 of alice',
    ]);
  });
});

test('R-D-8 long roles that are filled in are not all kept', () => {
  const long = (at: number) => role(`long${at}`, { db_users: ['{{internal.db_users}}', 'x'.repeat(1024 * 1024)] });
  const traits = { db_users: ['a'] };
  const first = long(0);
  const made = expandRole(first, traits);
  expect(expandRole(first, traits)).toBe(made);
  for (let at = 1; at <= 32; at++) expandRole(long(at), traits);
  expect(expandRole(first, traits)).not.toBe(made);
});

describe('ways in', () => {
  const ways = (roles: Role[], database = PROD, traits = {}) =>
    entrances({ username: 'alice', roles: roles.map((one) => expandRole(one, traits)), traits, database }).map(
      ({ role: name, dbUsers, dbNames, dbRoles }) => [name, dbUsers.join(), dbNames.join(), dbRoles.join()],
    );
  test('each role by itself, without what any role denies', () => {
    const more = role(
      'more',
      { db_labels: { '*': '*' }, db_users: ['a', 'b'], db_names: ['x', 'y'] },
      { db_users: ['b'], db_names: ['x*'] },
    );
    expect(ways([prod, more, dev])).toEqual([
      ['prod', 'reader', '*', ''],
      ['more', 'a', 'y', ''],
    ]);
    expect(ways([prod, role('no', {}, { db_labels: { env: 'prod' } })])).toEqual([]);
    expect(ways([access])).toEqual([]);
    expect(ways([access], PROD, { db_users: ['u'], db_names: ['n'] })).toEqual([['access', 'u', 'n', '']]);
  });
  test('R-D-6 who has a name that no user of the database can have has no way in, and no change helps', async () => {
    const username = 'pg_alice';
    const message =
      '"pg_alice" cannot be the name of a user of PostgreSQL: public, none and what begins with pg_ are reserved there';
    expect(entrances({ username, roles: [auto], traits: {}, database: AUTO })).toEqual([]);
    const question = wish({ username, roles: [auto], database: AUTO, dbUser: undefined });
    const { refusal, ...trace } = decide(question);
    expect(refusal).toEqual({ by: 'own-name', code: 'BadParameter', message });
    expect(reasonsOf({ refusal, ...trace }, question)).toEqual([message]);
    expect(await smallestChange(question)).toEqual([]);
    expect(allowedUsers([auto], AUTO, username)).toEqual({ allowed: [], denied: [], refused: message });
    // Nor is it looked at where users are made by hand.
    expect(decide(wish({ username, roles: [prod] })).refusal).toBeUndefined();
    const cluster = { ...spec, aws: { redshift: { cluster_id: 'c' } }, admin_user: { name: 'admin' } };
    const redshift = { ...PROD, spec: cluster };
    const remote = { username: 'remote-Alice-root', roles: [auto], database: redshift, dbUser: undefined };
    expect(decide(wish({ ...remote, remoteUser: 'Alice' })).refusal).toMatchObject({ by: 'own-name' });
    expect(decide(wish({ ...remote, remoteUser: 'alice' })).refusal).toBeUndefined();
  });
  test('an automatic user is oneself, with her database roles', () => {
    expect(ways([auto], AUTO)).toEqual([['auto', 'alice', '*', 'r']]);
  });
});
