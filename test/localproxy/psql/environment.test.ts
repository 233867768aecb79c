import { describe, expect, test } from '@jest/globals';
import { connectionVariables, psqlEnvironment, withoutVariables } from '../../../src/localproxy/psql/environment.js';

/** Every variable of libpq 18 that says where or how to connect. Source: its `PQconninfoOptions`, `getenv` elsewhere in it. */
const CONNECTION = [
  ...['PGCHANNELBINDING', 'PGDATABASE', 'PGGSSDELEGATION', 'PGGSSENCMODE', 'PGGSSLIB', 'PGHOST', 'PGHOSTADDR'],
  ...['PGKRBSRVNAME', 'PGLOADBALANCEHOSTS', 'PGMAXPROTOCOLVERSION', 'PGMINPROTOCOLVERSION', 'PGOAUTHDEBUG'],
  ...['PGPASSFILE', 'PGPASSWORD', 'PGPORT', 'PGREQUIREAUTH', 'PGREQUIREPEER', 'PGREQUIRESSL', 'PGSERVICE'],
  ...['PGSERVICEFILE', 'PGSSLCERT', 'PGSSLCERTMODE', 'PGSSLCOMPRESSION', 'PGSSLCRL', 'PGSSLCRLDIR', 'PGSSLKEY'],
  ...['PGSSLMAXPROTOCOLVERSION', 'PGSSLMINPROTOCOLVERSION', 'PGSSLMODE', 'PGSSLNEGOTIATION', 'PGSSLROOTCERT'],
  ...['PGSSLSNI', 'PGSYSCONFDIR', 'PGTARGETSESSIONATTRS', 'PGUSER', 'PGREALM', 'PGTTY', 'PGOFANOTHERYEAR'],
];
const OTHERS = [
  ...[
    'PGAPPNAME',
    'PGCLIENTENCODING',
    'PGCONNECT_TIMEOUT',
    'PGDATESTYLE',
    'PGGEQO',
    'PGLOCALEDIR',
    'PGOPTIONS',
    'PGTZ',
  ],
  ...['PG_COLOR', 'PG_COLORS', 'PSQLRC', 'PSQL_EDITOR', 'PSQL_HISTORY', 'PSQL_PAGER', 'PSQL_WATCH_PAGER', 'PAGER'],
  ...['EDITOR', 'HOME', 'LANG', 'PATH', 'TERM', 'TMPDIR', 'LESS', 'MY_PGHOST', 'pghost'],
];

describe('B1 the environment of psql', () => {
  const vars = Object.fromEntries([...CONNECTION, ...OTHERS].map((name) => [name, 'x']));

  test('has no variable that chooses a server or how to enter it, and every other one', () => {
    expect(Object.keys(psqlEnvironment(vars, 'linux')).sort()).toEqual([...OTHERS].sort());
    expect(connectionVariables(vars, 'darwin').sort()).toEqual([...CONNECTION].sort());
    expect(Object.keys(vars)).toContain('PGHOST');
  });

  test('X13 has no secret of AWS or Teleport, and leads to the profile that has one', () => {
    const secrets = [
      ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_SECURITY_TOKEN'],
      ...['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_BEARER_TOKEN_BEDROCK', 'TELEPORT_TOKEN', 'TELEPORT_AUTH_KEY_X'],
    ];
    const others = { AWS_PROFILE: 'dev', AWS_REGION: 'us-east-1', TELEPORT_HOME: '/h', TELEPORT_PROXY: 'p' };
    const all = { ...Object.fromEntries(secrets.map((name) => [name, 'x'])), ...others };
    expect(psqlEnvironment(all, 'linux')).toEqual(others);
  });

  test('a command that is printed works where it is copied', () => {
    expect(withoutVariables({ PATH: '/bin', PGTZ: 'UTC', PGUSER: 'x', PGHOST: 'y' }, 'linux')).toBe('');
    const set = { PGHOSTADDR: '::1', PGSERVICE: 'x', PGPORT: '1', 'PG;rm': 'x' };
    expect(withoutVariables(set, 'linux')).toBe('env -u PGHOSTADDR -u PGSERVICE ');
    expect(withoutVariables(set, 'win32')).toBe('');
  });

  test('on Windows the case of a name does not matter', () => {
    const others = { pgHost: 'x', PgTz: 'UTC', Path: 'C:\\' };
    expect(psqlEnvironment(others, 'win32')).toEqual({ PgTz: 'UTC', Path: 'C:\\' });
  });
});
