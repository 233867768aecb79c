/**
 * Tests: src/identity/pinned-ip.ts, src/rbac/auto-users.ts, src/rbac/check.ts, src/rbac/evaluate.ts
 * Tests: src/rbac/expression-parser.ts, src/rbac/expression.ts, src/rbac/labels.ts, src/rbac/limits.ts
 * Tests: src/rbac/pinned-ip.ts, src/rbac/predicate.ts, src/rbac/templates.ts
 */
import { isTeleportError } from '../../src/errors.js';
import { newIdentity } from '../../src/identity/identity.js';
import { allowedNames, allowedUsers, databaseRolesOf } from '../../src/rbac/allowed.js';
import { autoUserMode, autoUserRoles } from '../../src/rbac/auto-users.js';
import { checkDatabaseAccess } from '../../src/rbac/check.js';
import { evaluateLabelExpression } from '../../src/rbac/expression.js';
import { matchesLabels } from '../../src/rbac/labels.js';
import { lockInForce, lockingMode, maxSessionTtlMs, sessionLimitsOf } from '../../src/rbac/limits.js';
import { checkPinning } from '../../src/rbac/pinned-ip.js';
import { compileFilter, compilePredicate } from '../../src/rbac/predicate.js';
import { expandRole, expandValue } from '../../src/rbac/templates.js';
import type {
  AuthPreference,
  ClusterNetworkingConfig,
  Database,
  LabelSelector,
  Lock,
  Role,
  RoleConditions,
  RoleOptions,
  Traits,
} from '../../src/resources/types.js';

const ALL = { '*': '*' };

function role(allow: RoleConditions, deny: RoleConditions = {}, options: RoleOptions = {}): Role {
  return { kind: 'role', version: 'v7', metadata: { name: 'r' }, spec: { options, allow, deny } };
}

function database(spec: object = {}, labels: Record<string, string> = { env: 'dev' }): Database {
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', labels },
    spec: { protocol: 'postgres', uri: 'h:1', ...spec },
  };
}

function verdict(roles: Role[], more: Partial<Parameters<typeof checkDatabaseAccess>[0]> = {}): string {
  try {
    checkDatabaseAccess({
      username: 'alice',
      roles,
      traits: {},
      database: database(),
      dbUser: 'reader',
      dbName: 'bench',
      mfaVerified: false,
      ...more,
    });
    return 'allowed';
  } catch (error) {
    if (!isTeleportError(error)) throw error;
    return error.message;
  }
}

const REFUSED = 'access to db denied. User does not have permissions. Confirm database user and name.';
const MFA = 'access to resource requires MFA';
const OPEN = { db_labels: ALL, db_users: ['*'], db_names: ['*'] };

describe('the decision', () => {
  const cases: [string, Role[], string][] = [
    ['no role', [], REFUSED],
    ['everything', [role(OPEN)], 'allowed'],
    ['user and name written out', [role({ db_labels: ALL, db_users: ['reader'], db_names: ['bench'] })], 'allowed'],
    ['another user', [role({ db_labels: ALL, db_users: ['writer'], db_names: ['*'] })], REFUSED],
    ['another name', [role({ db_labels: ALL, db_users: ['*'], db_names: ['other'] })], REFUSED],
    ['no globs in users', [role({ db_labels: ALL, db_users: ['read*', '^reader$'], db_names: ['*'] })], REFUSED],
    ['case matters', [role({ db_labels: ALL, db_users: ['Reader'], db_names: ['*'] })], REFUSED],
    [
      'user from one role and name from another do not add up',
      [role({ db_labels: ALL, db_users: ['reader'] }), role({ db_labels: ALL, db_names: ['bench'] })],
      REFUSED,
    ],
    ['no labels select nothing', [role({ db_users: ['*'], db_names: ['*'] })], REFUSED],
    ['an empty selector selects nothing', [role({ ...OPEN, db_labels: {} })], REFUSED],
    ['other labels', [role({ ...OPEN, db_labels: { env: 'prod' } })], REFUSED],
    [
      'labels and expression must both hold',
      [role({ ...OPEN, db_labels_expression: 'labels["env"] == "prod"' })],
      REFUSED,
    ],
    [
      'the expression alone',
      [role({ ...OPEN, db_labels: {}, db_labels_expression: 'labels["env"] == "dev"' })],
      'allowed',
    ],
    ['a deny on labels', [role(OPEN), role({}, { db_labels: { env: 'dev' } })], REFUSED],
    ['a deny on an expression', [role(OPEN), role({}, { db_labels_expression: 'labels["env"] == "dev"' })], REFUSED],
    ['a deny on other labels', [role(OPEN), role({}, { db_labels: { env: 'prod' } })], 'allowed'],
    ['a deny on the user works without labels', [role(OPEN, { db_users: ['reader'] })], REFUSED],
    ['a deny on the name works without labels', [role(OPEN, { db_names: ['bench'] })], REFUSED],
    ['a deny without namespace does nothing', [role(OPEN, { db_users: ['*'], namespaces: [] })], 'allowed'],
    ['an allow without namespace grants nothing', [role({ ...OPEN, namespaces: [] })], REFUSED],
    ['an allow in every namespace', [role({ ...OPEN, namespaces: ['*'] })], 'allowed'],
  ];
  test.each(cases)('%s', (_what, roles, expected) => expect(verdict(roles)).toBe(expected));

  test('a broken expression fails the whole check, whichever role it is in', () => {
    expect(verdict([role(OPEN), role({ ...OPEN, db_labels_expression: 'labels[' })])).toMatch(
      /^parsing label expression/,
    );
  });

  test('labels from commands take part', () => {
    const dynamic = database({ dynamic_labels: { up: { period: '1m', command: ['x'], result: 'yes' } } });
    expect(verdict([role({ ...OPEN, db_labels: { up: 'yes' } })], { database: dynamic })).toBe('allowed');
  });

  test('MFA: asked for by the cluster, by every role, or by the role that lets one in', () => {
    const asks = role(OPEN, {}, { require_session_mfa: true });
    const cluster = { spec: { require_session_mfa: 'yes' } } as AuthPreference;
    expect(verdict([role(OPEN)], { authPreference: cluster })).toBe(MFA);
    expect(verdict([asks])).toBe(MFA);
    expect(verdict([asks], { mfaVerified: true })).toBe('allowed');
    expect(verdict([role(OPEN), asks])).toBe(MFA);
    expect(verdict([role(OPEN), role({ db_labels: { env: 'prod' } }, {}, { require_session_mfa: true })])).toBe(
      'allowed',
    );
    expect(verdict([role(OPEN, {}, { require_session_mfa: false })])).toBe('allowed');
  });

  test.each<[string, object, string, string, boolean]>([
    ['redshift', { redshift: { cluster_id: 'c' } }, 'arn:aws:iam::123456789012:role/R', 'role/R', true],
    ['redshift', { redshift: { cluster_id: 'c' } }, 'role/R', 'arn:aws:iam::123456789012:role/R', true],
    ['redshift', { redshift: { cluster_id: 'c' } }, 'arn:aws:iam::999999999999:role/R', 'role/R', false],
    ['serverless', { redshift_serverless: { workgroup_name: 'w' } }, 'arn:aws:iam::123456789012:role/R', 'R', true],
    ['serverless', { redshift_serverless: { workgroup_name: 'w' } }, 'R', 'arn:aws:iam::123456789012:role/R', true],
    ['self-hosted', {}, 'role/R', 'R', false],
  ])('%s %j: a role that allows %s lets %s in: %s', (_type, aws, allowed, dbUser, expected) => {
    const known = Object.keys(aws).length > 0 ? { region: 'us-east-1', account_id: '123456789012', ...aws } : {};
    const result = verdict([role({ ...OPEN, db_users: [allowed] })], { database: database({ aws: known }), dbUser });
    expect(result === 'allowed').toBe(expected);
  });
});

test.each<[LabelSelector, Record<string, string>, boolean]>([
  [{}, {}, false],
  [ALL, {}, true],
  [{ env: '*' }, { env: 'x' }, true],
  [{ env: '*' }, {}, false],
  [{ env: ['a', 'b'] }, { env: 'b' }, true],
  [{ env: 'd*' }, { env: 'dev' }, true],
  [{ env: 'd*v.' }, { env: 'devx' }, false],
  [{ env: '^de[v]$' }, { env: 'dev' }, true],
  [{ env: '^(' + '$' }, { env: 'dev' }, false],
  [{ env: 'dev', team: 'a' }, { env: 'dev' }, false],
  [{ env: '' }, {}, false],
])('selector %j on labels %j: %s', (selector, labels, expected) => {
  expect(matchesLabels(selector, labels)).toBe(expected);
});

describe('templates', () => {
  const traits = { db_users: ['a', 'b'], email: ['alice@example.com', 'bob@example.com'], logins: null };
  test.each<[string, string[]]>([
    ['plain', ['plain']],
    ['{{internal.db_users}}', ['a', 'b']],
    ['{{external["db_users"]}}', ['a', 'b']],
    ['x-{{ internal.db_users }}-y', ['x-a-y', 'x-b-y']],
    ['{{internal.foo}}', []],
    ['{{external.foo}}', []],
    ['{{internal.logins}}', []],
    ['{{foo', []],
    ['{{email.local(external.email)}}', ['alice', 'bob']],
    ['{{regexp.replace(external.email, "^(a.*)@.*$", "$1")}}', ['alice']],
    ['{{regexp.replace(email.local(external.email), "^b(.*)$", "B$1")}}', ['Bob']],
  ])('%s → %j', (entry, expected) => expect(expandValue(entry, traits)).toEqual(expected));

  test('a role keeps each value once, and a label of a missing trait matches nothing', () => {
    const { allow } = expandRole(
      role({ db_users: ['a', '{{internal.db_users}}'], db_labels: { env: '{{external.nope}}' } }),
      traits,
    ).spec;
    expect(allow.db_users).toEqual(['a', 'b']);
    expect(matchesLabels(allow.db_labels, { env: 'dev' })).toBe(false);
  });
});

test('templates of a revision of the store are filled in once for the same traits', () => {
  const role = (revision: string, entry: string): Role => ({
    kind: 'role',
    version: 'v7',
    metadata: { name: 'r', revision },
    spec: { options: {}, allow: { db_users: [entry] }, deny: {} },
  });
  const users = (one: Role, traits: Traits) => expandRole(one, traits).spec.allow.db_users;
  const before = expandRole(role('one', '{{external.x}}'), { x: ['a'] });
  expect(expandRole(role('one', '{{external.x}}'), { x: ['a'] })).toBe(before);
  expect(users(role('one', '{{external.x}}'), { x: ['b'] })).toEqual(['b']);
  expect(users(role('two', '{{external.y}}'), { x: ['a'] })).toEqual([]);
  // Without a revision nobody knows whether it is the same.
  expect(users(role('', '{{external.x}}'), { x: ['c'] })).toEqual(['c']);
  expect(users(role('', 'z'), { x: ['c'] })).toEqual(['z']);
});

describe('label expressions', () => {
  const input = {
    labels: { env: 'dev', 'a/b': 'x' },
    traits: { envs: ['dev', 'test'], none: null, mail: ['A@x.com'] },
  };
  test.each<[string, boolean]>([
    ['labels["env"] == "dev"', true],
    ['labels.env != "dev"', false],
    ['labels["nope"] == ""', true],
    ['!(labels["env"] == "x") && labels["a/b"] == `x`', true],
    ['labels["env"] == "x" || contains(user.spec.traits["envs"], labels["env"])', true],
    ['contains_any(user.spec.traits["envs"], set("test", "prod"))', true],
    ['contains_all(user.spec.traits["envs"], user.spec.traits["none"])', false],
    ['contains_all(user.spec.traits["envs"], set("dev"))', true],
    ['contains(labels_matching("a/*"), "x")', true],
    ['regexp.match(user.spec.traits["envs"], "t*")', true],
    ['contains(strings.lower(email.local(user.spec.traits["mail"])), "a")', true],
    ['contains(regexp.replace(user.spec.traits["envs"], "^(d).*", "$1"), "d")', true],
  ])('%s is %s', (text, expected) => expect(evaluateLabelExpression(text, input)).toBe(expected));

  test.each([
    ['labels["env"]'],
    ['nope == "x"'],
    ['contains("a")'],
    ['labels["env"] =='],
    ['user.spec.traits["envs"] == "x"'],
    ['exec("rm")'],
  ])('%s is an error', (text) =>
    expect(() => evaluateLabelExpression(text, input)).toThrow(/^parsing label expression\n\t/),
  );
});

describe('queries', () => {
  const pg = {
    database: database({}, { env: 'dev', 'teleport.internal/discovered-name': 'short' }),
    health: 'healthy' as const,
  };
  test.each<[string, boolean]>([
    ['name == "pg"', true],
    ['(name == "x") || (labels["teleport.internal/discovered-name"] == "short")', true],
    ['labels.env == "dev" && !(name == "y")', true],
    ['health.status == "healthy"', true],
    ['resource.metadata.name == "pg"', true],
    ['resource.metadata.labels["env"] == "dev"', true],
    ['resource.spec.protocol == "postgres"', true],
    ['resource.spec.aws.region == ""', true],
    ['hasPrefix(name, "p")', true],
    ['equals(name, "q")', false],
    ['exists(labels["env"]) && !exists(labels["x"])', true],
    ['search("POST", "dev")', true],
    ['search("mysql")', false],
    ['contains(split("a,pg", ","), name)', true],
  ])('%s is %s', (text, expected) => expect(compilePredicate(text)(pg)).toBe(expected));

  test.each([
    ['name == ', "1:9: expected operand, found 'EOF'"],
    ['labels["env"] ==', "1:17: expected operand, found 'EOF'"],
    ['(name == "x"', "1:13: expected ')', found newline"],
    ['name == "x" y', "1:13: expected 'EOF', found y"],
    ['name = "x"', "1:6: expected '==', found '='"],
    ['&& name', "1:1: expected operand, found '&&'"],
  ])('%s cannot be read: %s', (text, problem) => {
    expect(() => compilePredicate(text)).toThrow(`parsing expression\n\t${problem}`);
  });

  test('unknown names and depth are errors, not crashes', () => {
    expect(() => compilePredicate('nope == "x"')(pg)).toThrow('parsing expression\n\tunknown identifier: "nope"');
    expect(() => compilePredicate('name')(pg)).toThrow('parsing expression');
    expect(() => compilePredicate(`${'('.repeat(5_000)}name`)).toThrow('a simpler expression');
    expect(() => compilePredicate(`${'!'.repeat(5_000)}name`)).toThrow('a simpler expression');
    expect(() => compilePredicate('constructor("x")')(pg)).toThrow('unsupported function');
  });

  test('a disjunction of 100 names, as `db exec` sends it, is read', () => {
    let text = 'name == "pg"';
    for (let i = 0; i < 99; i++) text = `(${text}) || (name == "n${i}")`;
    expect(compilePredicate(text)(pg)).toBe(true);
  });

  test('labels, words and query are combined', () => {
    const filter = compileFilter({
      labels: { env: 'dev' },
      search: ['POSTGRES', 'self-hosted'],
      query: 'name == "pg"',
    });
    expect(filter(pg)).toBe(true);
    expect(compileFilter({ labels: { env: 'prod' } })(pg)).toBe(false);
    expect(compileFilter({ search: ['nope'] })(pg)).toBe(false);
    expect(compileFilter({})(pg)).toBe(true);
  });
});

test.each<[string[], 'strict' | 'best_effort' | undefined, string]>([
  [[], undefined, 'best_effort'],
  [[], 'strict', 'strict'],
  [[''], 'strict', 'strict'],
  [['best_effort'], 'strict', 'best_effort'],
  [['best_effort', 'strict'], 'best_effort', 'strict'],
])('locking mode of roles %j in a cluster of %s', (modes, cluster, expected) => {
  const roles = modes.map((lock) => role(OPEN, {}, { lock: lock as 'strict' }));
  const spec = { type: 'local' as const, second_factors: [], signature_algorithm_suite: 'legacy' as const };
  const preference = {
    kind: 'cluster_auth_preference' as const,
    version: 'v2' as const,
    metadata: { name: 'p' },
    spec: { ...spec, ...(cluster ? { locking_mode: cluster } : {}) },
  };
  expect(lockingMode(roles, preference)).toBe(expected);
});

describe('automatic users', () => {
  const auto = database({ admin_user: { name: 'admin' } });
  const keep = role({ ...OPEN, db_users: [], db_roles: ['reader', 'writer'] }, {}, { create_db_user_mode: 'keep' });
  const drop = role({ ...OPEN, db_users: [], db_roles: ['extra'] }, {}, { create_db_user_mode: 'best_effort_drop' });
  const off = role(OPEN, {}, { create_db_user_mode: 'off' });

  test('the strongest mode of the matching roles; off does not switch off', () => {
    expect(autoUserMode([keep, off], auto)).toBe('keep');
    expect(autoUserMode([keep, drop], auto)).toBe('best_effort_drop');
    expect(autoUserMode([role(OPEN, {}, { create_db_user: true })], auto)).toBe('keep');
    expect(autoUserMode([role({ db_labels: { env: 'prod' } }, {}, { create_db_user: true })], auto)).toBe('off');
  });
  test('the database user is not looked up in db_users, the name is in db_names', () => {
    expect(verdict([keep], { database: auto, dbUser: 'alice' })).toBe('allowed');
    const nameless = role({ ...keep.spec.allow, db_names: [] }, {}, keep.spec.options);
    expect(verdict([nameless], { database: auto, dbUser: 'alice' })).toBe(REFUSED);
    expect(verdict([keep], { database: auto })).toBe(
      'please use your Teleport username ("alice") to connect instead of "reader"',
    );
    expect(verdict([keep], { database: auto, username: 'remote-alice-root', leaf: 'leaf' })).toBe(
      'please use your mapped remote username ("remote-alice-root") to connect instead of "reader"',
    );
  });
  test('roles are united, sorted, and a wish must be a part of them', () => {
    expect(autoUserRoles([drop, keep], auto, [])).toEqual(['extra', 'reader', 'writer']);
    expect(autoUserRoles([keep], auto, ['writer'])).toEqual(['writer']);
    expect(() => autoUserRoles([keep], auto, ['admin'])).toThrow('access to database role "admin" denied');
    expect(autoUserRoles([off], auto, ['admin'])).toEqual([]);
  });
  test('the only user that is offered is the own name', () => {
    expect(allowedUsers([keep], auto, 'alice')).toEqual({ allowed: ['alice'], denied: [], autoProvisioned: true });
    expect(databaseRolesOf([keep], auto)).toEqual(['reader', 'writer']);
    expect(databaseRolesOf([keep], database())).toEqual([]);
  });
});

test('what is offered: entries of matching roles without the denied ones', () => {
  const roles = [
    role({ db_labels: ALL, db_users: ['b', 'a', '*'], db_names: ['x'] }, { db_users: ['root'] }),
    role({ db_users: ['no-labels'] }),
  ];
  expect(allowedUsers(roles, database(), 'alice')).toEqual({ allowed: ['*', 'a', 'b'], denied: ['root'] });
  expect(allowedNames(roles, database())).toEqual({ allowed: ['x'], denied: [] });
});

test('a label expression sees the traits of the user, also in what is offered', () => {
  const roles = [role({ db_users: ['a'], db_labels_expression: 'contains(user.spec.traits["envs"], labels["env"])' })];
  expect(allowedUsers(roles, database(), 'alice', { envs: ['dev'] }).allowed).toEqual(['a']);
  expect(allowedUsers(roles, database(), 'alice').allowed).toEqual([]);
});

describe('limits', () => {
  test('the smallest lifetime, the smallest idle time, any wish to disconnect', () => {
    const roles = [
      role({}, {}, { max_session_ttl: '60h', client_idle_timeout: '10m' }),
      role({}, {}, { max_session_ttl: '40h', client_idle_timeout: '0s', disconnect_expired_cert: true }),
    ];
    expect(maxSessionTtlMs(roles)).toBe(40 * 3_600_000);
    expect(maxSessionTtlMs([role({})])).toBe(30 * 3_600_000);
    expect(sessionLimitsOf(roles, undefined)).toEqual({ disconnectExpiredCert: true, clientIdleTimeoutMs: 600_000 });
    expect(sessionLimitsOf([role({})], undefined)).toEqual({ disconnectExpiredCert: false });
  });
  test('U3 the idle timeout of the cluster counts beside those of roles', () => {
    const networking = { spec: { client_idle_timeout: '5m0s' } } as ClusterNetworkingConfig;
    const ofRole = role({}, {}, { client_idle_timeout: '1m' });
    expect(sessionLimitsOf([role({})], undefined, networking).clientIdleTimeoutMs).toBe(300_000);
    expect(sessionLimitsOf([ofRole], undefined, networking).clientIdleTimeoutMs).toBe(60_000);
  });
  test('a lock hits its target until it ends', () => {
    const now = new Date('2030-01-01T00:00:00Z');
    const identity = newIdentity({ username: 'alice', groups: ['dba'], teleportCluster: 'c', expires: now });
    const lock = (target: Lock['spec']['target'], expires?: string): Lock => ({
      kind: 'lock',
      version: 'v2',
      metadata: { name: 'l' },
      spec: { target, ...(expires ? { expires } : {}) },
    });
    const hits = (one: Lock, serverId?: string) =>
      lockInForce([one], { identity, now, ...(serverId ? { serverId } : {}) }) === one;
    expect(hits(lock({ user: 'alice' }))).toBe(true);
    expect(hits(lock({ role: 'dba' }))).toBe(true);
    expect(hits(lock({ user: 'bob' }))).toBe(false);
    expect(hits(lock({ mfa_device: 'x' }))).toBe(false);
    expect(hits(lock({ server_id: 's' }), 's')).toBe(true);
    expect(hits(lock({ user: 'alice' }, '2029-12-31T00:00:00Z'))).toBe(false);
    expect(hits(lock({ user: 'alice' }, '2030-12-31T00:00:00Z'))).toBe(true);
  });
});

describe('M2 a lock on a login', () => {
  const redshift = database({ aws: { redshift: { cluster_id: 'c' } } });
  const plain = database();
  test.each([
    ['IAM:analyst', redshift, true],
    ['ANALYST', redshift, true],
    ['other', redshift, false],
    ['analyst', plain, true],
    ['Analyst', plain, false],
    ['analyst2', plain, false],
  ])('analyst hits %s: %#', (login, database, isHit) => {
    const lock: Lock = { kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target: { login: 'analyst' } } };
    expect(lockInForce([lock], { login, database, now: new Date() }) === lock).toBe(isHit);
  });
});

describe('role option pin_source_ip', () => {
  const ELSEWHERE = "pinned IP doesn't match observed client IP";
  const pinning = [role(OPEN, {}, { pin_source_ip: true }), role(OPEN)];
  test.each([
    ['the address of the login', '203.0.113.7', pinning, '203.0.113.7', undefined],
    ['another address', '203.0.113.7', pinning, '203.0.113.8', ELSEWHERE],
    ['an address that is not known', '203.0.113.7', [], undefined, ELSEWHERE],
    ['a login from before the option', undefined, pinning, '203.0.113.7', 'pinned IP is required for the user'],
    ['a role without it', undefined, [role(OPEN)], '203.0.113.7', undefined],
  ])('%s', (_, pinnedIp, roles, address, refusal) => {
    const check = () => checkPinning({ pinnedIp, roles }, address);
    if (refusal) expect(check).toThrow(refusal);
    else check();
  });
});
