/**
 * One name, however it is spelt: what deny refuses, what allow lets in, what `tsh db ls` shows.
 * Tests: src/rbac/allowed.ts, src/rbac/check.ts, src/rbac/match.ts
 */
import { isTeleportError } from '../../src/errors.js';
import { allowedNames, allowedUsers } from '../../src/rbac/allowed.js';
import { checkDatabaseAccess } from '../../src/rbac/check.js';
import type { AwsMetadata, Database, Role, RoleConditions } from '../../src/resources/types.js';

const ACCOUNT = '123456789012';
const ALL = { '*': '*' };
const OPEN = { db_labels: ALL, db_users: ['*'], db_names: ['*'] };

type Kind = 'serverless' | 'provisioned' | 'no account' | 'china' | 'plain';

const AWS: Record<Kind, AwsMetadata | undefined> = {
  serverless: { region: 'us-east-1', account_id: ACCOUNT, redshift_serverless: { workgroup_name: 'w' } },
  provisioned: { region: 'us-east-1', account_id: ACCOUNT, redshift: { cluster_id: 'c' } },
  'no account': { region: 'us-east-1', redshift: { cluster_id: 'c' } },
  china: {
    region: 'cn-north-1',
    assume_role_arn: `arn:aws-cn:iam::${ACCOUNT}:role/own`,
    redshift_serverless: { workgroup_name: 'w' },
  },
  plain: undefined,
};

function databaseOf(kind: Kind): Database {
  const aws = AWS[kind];
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'x' },
    spec: { protocol: 'postgres', uri: 'h:1', ...(aws ? { aws } : {}) },
  };
}

function role(allow: RoleConditions, deny: RoleConditions = {}): Role {
  return { kind: 'role', version: 'v7', metadata: { name: 'r' }, spec: { options: {}, allow, deny } };
}

function mayEnter(kind: Kind, one: Role, { dbUser = 'u', dbName = 'dev' }): boolean {
  try {
    const database = databaseOf(kind);
    checkDatabaseAccess({ username: 'alice', roles: [one], traits: {}, database, dbUser, dbName, mfaVerified: false });
    return true;
  } catch (error) {
    if (!isTeleportError(error, 'AccessDenied')) throw error;
    return false;
  }
}

const ARN = `arn:aws:iam::${ACCOUNT}:role/reporting`;
const IN_PATH = `arn:aws:iam::${ACCOUNT}:role/team/reporting`;
const OTHER = 'arn:aws:iam::999999999999:role/reporting';
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/reporting/alice`;
const SPELLINGS = ['role/reporting', 'role/team/reporting', ARN, IN_PATH, 'IAMR:reporting'];
const BARE = ['reporting', 'Reporting', 'role/REPORTING', 'team/reporting', 'reporting/', 'IAMA:reporting', SESSION];

describe('X4 deny is not passed by another spelling', () => {
  const every = (kind: Kind, names: string[]) =>
    names.flatMap((entry) => names.map((user): [Kind, string, string] => [kind, entry, user]));
  test.each([...every('serverless', [...SPELLINGS, ...BARE]), ...every('provisioned', [...SPELLINGS, SESSION])])(
    'on %s, deny %s refuses %s',
    (kind, entry, dbUser) => {
      expect(mayEnter(kind, role(OPEN, { db_users: [entry] }), { dbUser })).toBe(false);
    },
  );

  test.each<[Kind, string, string]>([
    ['provisioned', 'analyst', 'IAM:analyst'],
    ['provisioned', 'IAM:analyst', 'analyst'],
    ['provisioned', 'IAMA:analyst', 'IAM:analyst'],
    ['provisioned', 'analyst', 'ANALYST'],
    ['no account', 'role/reporting', OTHER],
    ['no account', OTHER, 'role/reporting'],
    ['china', 'reporting', `arn:aws-cn:iam::${ACCOUNT}:role/reporting`],
    ['china', `arn:aws-cn:iam::${ACCOUNT}:role/reporting`, 'role/reporting'],
    ['serverless', 'report*', 'role/reporting'],
    ['serverless', 'role/report*', 'reporting'],
    ['serverless', `arn:aws:iam::*:role/reporting`, 'reporting'],
    ['serverless', '^(admin|reporting)$', ARN],
    ['serverless', 'arn:aws:sts::*:assumed-role/rep*/*', 'reporting'],
    ['serverless', 'IAM:rep*', 'reporting'],
    ['provisioned', 'arn:aws:sts::*:assumed-role/rep*', 'role/team/reporting'],
    ['provisioned', 'IAM:rep*', 'reporting'],
    ['provisioned', 'IAMA:rep*', 'IAM:reporting'],
    ['provisioned', 'rep*', 'IAM:reporting'],
    ['provisioned', '*-rw', `${'a'.repeat(124)}-rwx`],
    ['plain', '*-rw', `${'a'.repeat(60)}-rwx`],
    ['plain', 'adm*', 'admin'],
    ['plain', '^adm.n$', 'admin'],
    ['plain', '*', 'admin'],
    ['plain', 'a'.repeat(63), `${'a'.repeat(63)}bc`],
    ['plain', `${'ä'.repeat(31)}a`, `${'ä'.repeat(31)}ab`],
  ])('on %s, deny %s refuses %s', (kind, entry, dbUser) => {
    expect(mayEnter(kind, role(OPEN, { db_users: [entry] }), { dbUser })).toBe(false);
  });

  test.each<[Kind, string, string]>([
    ['serverless', OTHER, 'reporting'],
    ['serverless', 'reporting', 'reporting2'],
    ['serverless', 'team', 'team/reporting'],
    ['serverless', 'reportin', ARN],
    ['provisioned', 'reporting', 'role/reporting'],
    ['provisioned', 'role/reporting', 'reporting'],
    ['plain', 'Admin', 'admin'],
    ['plain', 'IAM:admin', 'admin'],
    ['plain', 'role/reporting', 'reporting'],
    ['plain', 'adm*', 'reader'],
  ])('on %s, deny %s leaves %s alone', (kind, entry, dbUser) => {
    expect(mayEnter(kind, role(OPEN, { db_users: [entry] }), { dbUser })).toBe(true);
  });

  test.each<[Kind, string, string, boolean]>([
    ['serverless', 'finance', 'FINANCE', false],
    ['provisioned', 'Finance', 'finance', false],
    ['provisioned', 'fin*', 'FINANCE', false],
    ['plain', 'finance', 'FINANCE', true],
    ['plain', 'fin*', 'finance', false],
    ['plain', '^fin.*$', 'finance', false],
    ['plain', 'a'.repeat(63), 'a'.repeat(64), false],
    ['plain', 'finance', 'finance2', true],
  ])('on %s, deny of the database name %s and %s: entry is %s', (kind, entry, dbName, expected) => {
    expect(mayEnter(kind, role(OPEN, { db_names: [entry] }), { dbName })).toBe(expected);
  });
});

describe('X4 allow means a role in each of its spellings and nothing else', () => {
  test.each<[Kind, string, string, boolean]>([
    ['serverless', 'reporting', 'role/reporting', true],
    ['serverless', 'role/reporting', 'reporting', true],
    ['serverless', 'reporting', ARN, true],
    ['serverless', ARN, 'reporting', true],
    ['serverless', 'IAMR:reporting', 'role/reporting', true],
    ['provisioned', 'role/reporting', ARN, true],
    ['provisioned', ARN, 'role/reporting', true],
    ['provisioned', 'role/team/reporting', IN_PATH, true],
    ['china', 'reporting', `arn:aws-cn:iam::${ACCOUNT}:role/reporting`, true],
    ['no account', 'role/reporting', 'role/reporting', true],
    // not known to be the same, or not the same
    ['no account', 'role/reporting', OTHER, false],
    ['no account', OTHER, 'role/reporting', false],
    ['serverless', 'reporting', OTHER, false],
    ['serverless', 'Reporting', 'reporting', false],
    ['serverless', 'report*', 'reporting', false],
    ['serverless', '^reporting$', 'reporting', false],
    ['serverless', 'role/team/reporting', 'role/other/reporting', false],
    ['serverless', ARN, IN_PATH, false],
    ['china', 'reporting', ARN, false],
    ['provisioned', 'reporting', 'role/reporting', false],
    ['provisioned', 'role/reporting', 'reporting', false],
    ['plain', 'role/reporting', 'reporting', false],
    ['plain', 'a'.repeat(63), 'a'.repeat(64), false],
  ])('on %s, allow %s lets %s in: %s', (kind, entry, dbUser, expected) => {
    expect(mayEnter(kind, role({ ...OPEN, db_users: [entry] }), { dbUser })).toBe(expected);
  });
});

describe('X4 what tsh db ls shows', () => {
  test('is what the Database Service lets in: without what is denied in another spelling, each role once', () => {
    const roles = [
      role({ ...OPEN, db_users: ['reporting', ARN, 'role/loader', 'audit'] }, { db_users: ['role/audit'] }),
    ];
    expect(allowedUsers(roles, databaseOf('serverless'), 'alice')).toEqual({
      allowed: ['reporting', 'role/loader'],
      denied: ['role/audit'],
    });
    expect(allowedUsers(roles, databaseOf('provisioned'), 'alice').allowed).toEqual([
      ARN,
      'audit',
      'reporting',
      'role/loader',
    ]);
    expect(
      allowedNames([role({ ...OPEN, db_names: ['dev', 'Prod'] }, { db_names: ['prod'] })], databaseOf('provisioned'))
        .allowed,
    ).toEqual(['dev']);
  });
});
