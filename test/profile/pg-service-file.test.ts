import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pgServicePath, pgServicePaths } from '../../src/profile/paths.js';
import { deletePgServices, deletePgServicesOf, putPgService } from '../../src/profile/pg-service-file.js';

let home: string;
let path: string;
let warnings: string[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pgservice-'));
  path = join(home, '.pg_service.conf');
  warnings = [];
});
afterEach(() => {
  chmodSync(home, 0o700);
  rmSync(home, { recursive: true, force: true });
});

const warn = (text: string) => void warnings.push(text);
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
const put = (name = 'peer.local-pg') => putPgService(path, name, service(), warn);
const remove = (...names: string[]) => deletePgServices([path], names, warn);
const bytes = () => readFileSync(path, 'latin1');
/** What real tsh writes. */
const recorded = () =>
  `${readFileSync('test/fixtures/profile/pg_service.conf', 'utf8').replaceAll('{HOME}', home).trimEnd()}\n`;

describe('B11 the service file of libpq', () => {
  test('a section is written in the bytes of real tsh, and a file of nothing else goes with it', async () => {
    await put();
    expect(bytes()).toBe(recorded());
    await put('peer.local-other');
    await remove('peer.local-pg');
    expect(bytes()).toBe(recorded().replace('[peer.local-pg]', '[peer.local-other]'));
    await remove('peer.local-other');
    expect(readdirSync(home)).toEqual([]);
  });

  test.each([
    ['ends without a line end', '[prod]\nhost=db.example.com'],
    ['has Windows line ends', '[prod]\r\nhost=db.example.com\r\n'],
    ['has Windows line ends and none at the end', '# x\r\n[prod]\r\nport=5432'],
    ['has bytes that are not UTF-8', '# Gr\xf6\xdfe\n[prod]\npassword=\xff\xfe\x00\xa0\n'],
    ['begins with a byte order mark', '\xef\xbb\xbf[prod]\nhost=x\n'],
    ['has blanks, tabs and comments', '\n\n  # mine \n[prod]\t\n host = x  \n\n; odd\n#last\n\n\n'],
    ['is empty', ''],
    ['is a line end', '\n'],
    ['ends in a lone carriage return', '# mine\r'],
    ['has Windows line ends and a lone carriage return at the end', '# mine\r\n[prod]\r\nhost=x\r'],
    ['has Unix line ends and a lone carriage return at the end', '# mine\n[prod]\r\nhost=x\r'],
    ['has sections of the same name', '[a]\nhost=x\n[a]\nhost=y\n'],
    ['is not a service file at all', '{"a": [1,\n2]}\n[\n]]\n'],
  ])('of a person %s: it keeps every byte, and is as it was when ours is gone', async (_, before) => {
    writeFileSync(path, before, 'latin1');
    const end = /^[^\n]*\r\n/.test(before) ? '\r\n' : '\n';
    const block = recorded().replaceAll('\n', end);
    await put();
    expect(bytes()).toBe(before + end + block);
    await put();
    expect(bytes()).toBe(before + end + block);
    await put('peer.local-2');
    await remove('peer.local-pg', 'nope');
    await remove('peer.local-2');
    expect(bytes()).toBe(before);
    expect([readdirSync(home), warnings]).toEqual([['.pg_service.conf'], []]);
  });

  test('a section of ours in the middle is replaced where it stands, and comes out without what is around it', async () => {
    const above = '# above\n[prod]\nhost=x\n';
    const below = '\n# a word on dev\n[dev]\nhost=y\n';
    writeFileSync(path, `${above}\n${recorded().replace('47080', '1')}${below}`);
    await put();
    expect(bytes()).toBe(`${above}\n${recorded()}${below}`);
    await remove('peer.local-pg');
    expect(bytes()).toBe(above + below);
  });

  test("a remark between our settings is the person's", async () => {
    writeFileSync(path, `[a]\nhost=x\n\n${recorded().replace('port=', '# mind the port\nport=')}`);
    await put();
    expect(bytes()).toContain('gssencmode=disable\n# mind the port\n');
    await remove('peer.local-pg');
    expect(bytes()).toBe('[a]\nhost=x\n# mind the port\n');
  });

  test.each([
    ['other settings', 'host=mine.example.com\nuser=me\n'],
    [
      'a setting more than ours',
      'host=x\nsslmode=verify-full\nsslrootcert=a\npassfile=b\ngssencmode=disable\noptions=-cx=1\n',
    ],
  ])('a section of the same name with %s stays, and the person hears of it', async (_, body) => {
    const before = `[peer.local-pg]\n${body}`;
    writeFileSync(path, before);
    await put();
    await remove('peer.local-pg');
    expect(bytes()).toBe(before);
    expect(warnings).toEqual([
      `${path} has a section [peer.local-pg] that tsh did not write: it stays as it is, and "psql service=peer.local-pg" follows it. Rename it and log in again to have one of tsh.`,
    ]);
  });

  test.each([0o600, 0o640, 0o644, 0o444])('keeps its mode %o', async (mode) => {
    writeFileSync(path, '[prod]\npassword=secret\n');
    chmodSync(path, mode);
    if (process.getuid?.() !== 0 && (mode & 0o200) === 0) return;
    await put();
    expect(statSync(path).mode & 0o777).toBe(mode);
    await remove('peer.local-pg');
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  test('a file that may not be written is left alone, with a warning', async () => {
    writeFileSync(path, '[prod]\n');
    chmodSync(path, 0o444);
    chmodSync(home, 0o500);
    if (process.getuid?.() === 0) return; // root may write everything
    await put();
    expect(bytes()).toBe('[prod]\n');
    expect(warnings[0]).toMatch(/^"psql service=peer\.local-pg" will not find the database: cannot write .*: EACCES/);
  });

  test('a link stays a link, wherever it leads', async () => {
    const target = join(home, 'dotfiles', 'services');
    mkdirSync(join(home, 'dotfiles'));
    writeFileSync(target, '[prod]\nhost=x\n', { mode: 0o640 });
    symlinkSync('dotfiles/services', path);
    await put();
    expect(readlinkSync(path)).toBe('dotfiles/services');
    expect(readFileSync(target, 'latin1')).toBe(`[prod]\nhost=x\n\n${recorded()}`);
    expect(statSync(target).mode & 0o777).toBe(0o640);
    await remove('peer.local-pg');
    expect(readFileSync(target, 'latin1')).toBe('[prod]\nhost=x\n');
  });

  test.each([
    ['a file that is not there', 'gone/services'],
    ['a link to one', 'second'],
  ])('a link to %s makes that file, and the link dangles again afterwards', async (_, to) => {
    symlinkSync('gone/services', join(home, 'second'));
    symlinkSync(to, path);
    await put();
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(home, 'gone', 'services'), 'latin1')).toBe(recorded());
    await remove('peer.local-pg');
    expect(readlinkSync(path)).toBe(to);
    expect(existsSync(join(home, 'gone', 'services'))).toBe(false);
  });

  test('links in a circle, devices and folders are a warning and nothing else', async () => {
    symlinkSync('.pg_service.conf', path);
    await put();
    expect(readlinkSync(path)).toBe('.pg_service.conf');
    await putPgService('/dev/null', 'a', service(), warn);
    await putPgService(home, 'a', service(), warn);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(warnings.map((text) => /database: (.*)\. tsh/.exec(text)?.[1])).toEqual([
      `${path} is a link that leads in a circle`,
      '/dev/null is not a file',
      `${home} is not a file`,
    ]);
  });

  test('sections whose keys were in a folder go with it, whatever their names', async () => {
    writeFileSync(path, '[prod]\nhost=x\nsslcert=/elsewhere/x.crt\n');
    await put('one');
    await put('two');
    await deletePgServicesOf([path], `${keys()}/another-db`, warn);
    expect(bytes()).toContain('[two]');
    await deletePgServicesOf([path, join(home, 'none')], `${keys()}/capture-alice-db`, warn);
    expect(bytes()).toBe('[prod]\nhost=x\nsslcert=/elsewhere/x.crt\n');
  });

  test('names and paths beyond ASCII are written in UTF-8 and found again', async () => {
    writeFileSync(path, '# \xe9\n', 'latin1');
    const folder = join(home, 'à');
    await putPgService(path, 'köln-à', { ...service(), sslCert: `${folder}/db.crt` }, warn);
    expect(readFileSync(path).includes(Buffer.from('[köln-à]\n'))).toBe(true);
    await deletePgServicesOf([path], folder, warn);
    expect(bytes()).toBe('# \xe9\n');
  });

  test('writers at once lose no section', async () => {
    writeFileSync(path, '[prod]\n');
    await Promise.all(Array.from({ length: 5 }, (_, i) => put(`c-${i}`)));
    for (let i = 0; i < 5; i++) expect(bytes()).toContain(`[c-${i}]`);
  });

  test('deleting where there is nothing makes nothing', async () => {
    await deletePgServices([path, join(home, 'no', 'folder')], ['a'], warn);
    expect([readdirSync(home), warnings]).toEqual([[], []]);
  });

  test('it is where libpq looks for it, and at logout also in the home folder', () => {
    const where = { vars: {} as Record<string, string>, home: '/home/a', cwd: '/srv/app' };
    expect(pgServicePath(where)).toBe('/home/a/.pg_service.conf');
    const moved = { ...where, vars: { PGSERVICEFILE: 'services', PGSYSCONFDIR: '/etc' } };
    expect(pgServicePaths(moved)).toEqual(['/srv/app/services', '/home/a/.pg_service.conf']);
    expect(pgServicePaths({ ...where, vars: { PGSERVICEFILE: '' } })).toEqual(['/home/a/.pg_service.conf']);
  });
});
