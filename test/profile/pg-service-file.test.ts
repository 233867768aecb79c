import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deletePgServices, putPgService, readPgService } from '../../src/profile/pg-service-file.js';

let home: string;
let path: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pgservice-'));
  path = join(home, '.pg_service.conf');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const keys = () => join(home, '.tsh/keys/localhost');
const service = () => ({
  host: 'localhost',
  port: 47080,
  user: 'postgres',
  dbName: 'bench',
  sslMode: 'verify-full' as const,
  sslRootCert: `${keys()}/cas/peer.local.pem`,
  sslCert: `${keys()}/capture-alice-db/peer.local/pg.crt`,
  sslKey: `${keys()}/capture-alice-db/peer.local/pg.key`,
});

test('a section is written in the bytes of real tsh', async () => {
  await putPgService(path, 'peer.local-pg', service());
  const recorded = readFileSync('test/fixtures/profile/pg_service.conf', 'utf8').replaceAll('{HOME}', home);
  expect(readFileSync(path, 'utf8').trimEnd()).toBe(recorded.trimEnd());
  expect(await readPgService(path, 'peer.local-pg')).toMatchObject({ port: '47080', gssencmode: 'disable' });
});

test('foreign sections and comments survive; ours moves to the end and is replaced', async () => {
  writeFileSync(
    path,
    '# mine\n[prod]\nhost = db.example.com\n; note\nport=5432\n\n[peer.local-pg]\nhost=old\n\n[dev]\nhost=x\n',
    {
      mode: 0o600,
    },
  );
  await putPgService(path, 'peer.local-pg', { ...service(), user: undefined, dbName: undefined });
  const text = readFileSync(path, 'utf8');
  expect(text).toMatch(
    /^# mine\n\[prod\]\nhost=db\.example\.com\n; note\nport=5432\n\n\[dev\]\nhost=x\n\n\[peer\.local-pg\]\n/,
  );
  expect(text).not.toContain('old');
  expect(text).not.toContain('user=');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await deletePgServices(path, ['peer.local-pg', 'nope']);
  expect(readFileSync(path, 'utf8')).toBe('# mine\n[prod]\nhost=db.example.com\n; note\nport=5432\n\n[dev]\nhost=x\n');
});

test('deleting the last section leaves an empty file, deleting nothing makes none', async () => {
  await deletePgServices(path, ['a']);
  expect(existsSync(path)).toBe(false);
  await putPgService(path, 'c-pg', service());
  await deletePgServices(path, ['c-pg']);
  expect(readFileSync(path, 'utf8')).toBe('');
  expect(await readPgService(path, 'c-pg')).toBeUndefined();
});

test('writers at once lose no section', async () => {
  await Promise.all(Array.from({ length: 5 }, (_, i) => putPgService(path, `c-${i}`, service())));
  for (let i = 0; i < 5; i++) expect(await readPgService(path, `c-${i}`)).toBeDefined();
});
