import { describe, expect, test } from '@jest/globals';
import { connectionUri, psqlArguments } from '../../../src/localproxy/psql/command.js';

const LOCAL = { host: 'localhost', port: 5433, dbUser: 'alice', dbName: 'dev' };

describe('connection URI', () => {
  test.each([
    { dbUser: 'alice', written: 'alice@' },
    { dbUser: 'role/dba', written: 'role%2Fdba@' },
    { dbUser: 'Jane Doe', written: 'Jane+Doe@' },
    { dbUser: 'a@b.c', written: 'a%40b.c@' },
    { dbUser: "it's(*)!", written: 'it%27s%28%2A%29%21@' },
    { dbUser: '', written: '' },
  ])('writes user "$dbUser" as $written for a host', ({ dbUser, written }) => {
    expect(connectionUri({ ...LOCAL, dbUser })).toBe(`postgres://${written}localhost:5433/dev`);
  });

  test('names the files for a client with TLS of its own', () => {
    const tls = { rootCert: '/h/ca.pem', cert: '/h/pg.crt', key: '/h/pg.key', mode: 'verify-full' as const };
    expect(connectionUri({ ...LOCAL, host: 'proxy.example.com', port: 443, tls })).toBe(
      'postgres://alice@proxy.example.com:443/dev?sslrootcert=/h/ca.pem&sslcert=/h/pg.crt&sslkey=/h/pg.key&sslmode=verify-full',
    );
  });

  test('leaves a shell nothing to do with a name that a role suggested', () => {
    const uri = connectionUri({ ...LOCAL, dbName: 'a$(id)`id`"; b\\' });
    expect(uri).toBe('postgres://alice@localhost:5433/a%24(id)%60id%60%22;%20b%5C');
  });

  test('gives psql back the paths of files whose names have signs of their own', () => {
    const passFile = '/h/my home/.tsh/aws/my%2Eprofile/jdbc%3Aredshift!.pgpass';
    const uri = connectionUri({ ...LOCAL, tls: { rootCert: '/h/ca.pem', passFile, mode: 'verify-full' } });
    expect(uri).not.toMatch(/[ !]/);
    expect(new URL(uri).searchParams.get('passfile')).toBe(passFile);
  });

  test('brackets an IPv6 address', () => {
    expect(connectionUri({ ...LOCAL, host: '::1' })).toBe('postgres://alice@[::1]:5433/dev');
  });

  test('gives a Unix socket as parameter and escapes so that psql gets every name back', () => {
    const uri = connectionUri({ host: '/run/user/1/tsh-x', port: 5432, dbUser: 'Jane+Doe x', dbName: 'a?b/c%' });
    expect(uri).toBe('postgres://Jane%2BDoe%20x@/a%3Fb%2Fc%25?host=%2Frun%2Fuser%2F1%2Ftsh-x&port=5432');
  });

  test('is the only argument before what stood behind --', () => {
    expect(psqlArguments(LOCAL, ['-c', 'select 1'])).toEqual(['postgres://alice@localhost:5433/dev', '-c', 'select 1']);
  });
});
