/** Whom a TLS client of the web trusts, on the layouts of the systems that people have; real handshakes with the result. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { amazonRoots, type RootsOptions, webRootsReader } from '../../src/net/roots.js';
import { encodePem } from '../../src/pki/pem.js';
import { createTestCa } from '../support/ca.js';

type Vars = Record<string, string>;

const distro = createTestCa('Distribution').certPem;
const company = createTestCa('Company').certPem;
const third = createTestCa('Third').certPem;
const builtIn = rootCertificates.map((pem) => `${pem.trim()}\n`);

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'roots-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A file under the root of this machine. */
function put(path: string, text: string): string {
  mkdirSync(dirname(root + path), { recursive: true });
  writeFileSync(root + path, text);
  return root + path;
}

function read(vars: Vars = {}, options: RootsOptions = {}): string[] {
  return [...webRootsReader({ platform: 'linux', root, ...options })(vars).pems].sort();
}

const sorted = (...pems: string[]) => pems.sort();

describe('S7 the trust store of the system', () => {
  test.each([
    ['Debian, Ubuntu, Gentoo', '/etc/ssl/certs/ca-certificates.crt'],
    ['Fedora', '/etc/pki/tls/certs/ca-bundle.crt'],
    ['openSUSE', '/etc/ssl/ca-bundle.pem'],
    ['OpenELEC', '/etc/pki/tls/cacert.pem'],
    ['RHEL 7', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem'],
    ['Alpine', '/etc/ssl/cert.pem'],
  ])('is the bundle of %s, and no built-in root counts beside it', (_system, path) => {
    put(path, `# Distribution\n${distro}\n# Company\n${company}`);
    expect(read()).toEqual(sorted(distro, company));
  });

  test('is the first bundle that can be read, in this order', () => {
    put('/etc/pki/tls/certs/ca-bundle.crt/file', ''); // a folder of that name cannot be read
    put('/etc/ssl/ca-bundle.pem', distro);
    put('/etc/ssl/cert.pem', third);
    expect(read()).toEqual([distro]);
  });

  test.each(['/etc/ssl/certs', '/etc/pki/tls/certs'])('is the folder %s besides the bundle', (folder) => {
    put('/etc/ssl/certs/ca-certificates.crt', distro);
    put(`${folder}/company.pem`, company);
    put('/usr/share/ca-certificates/third.crt', third);
    symlinkSync(`${root}/usr/share/ca-certificates/third.crt`, `${root}${folder}/third.pem`);
    symlinkSync('third.pem', `${root}${folder}/1a2b3c4d.0`);
    put(`${folder}/java/cacerts`, 'not looked into');
    put(`${folder}/README`, 'text');
    put(`${folder}/other.trust.crt`, distro.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'));
    put(`${folder}/broken.pem`, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(read()).toEqual(sorted(distro, company, third));
  });

  test('is the folders alone where there is no bundle', () => {
    put('/etc/ssl/certs/company.pem', company);
    expect(read()).toEqual([company]);
  });

  test('does not exist on a bare machine: then the built-in roots stand in', () => {
    expect(read()).toEqual(sorted(...builtIn));
    put('/etc/ssl/certs/ca-certificates.crt', '');
    expect(read()).toEqual(sorted(...builtIn));
  });

  test('SSL_CERT_FILE replaces the bundle and leaves the folders, as in Go', () => {
    put('/etc/ssl/cert.pem', distro);
    put('/etc/ssl/certs/third.pem', third);
    const file = put('/company.pem', company);
    expect(read({ SSL_CERT_FILE: file })).toEqual(sorted(company, third));
    expect(read({ SSL_CERT_FILE: '' })).toEqual(sorted(distro, third));
  });

  test('with SSL_CERT_FILE and no folder the roots of the machine do not come back by another way', () => {
    put('/etc/ssl/cert.pem', distro);
    expect(read({ SSL_CERT_FILE: put('/company.pem', company) })).toEqual([company]);
  });

  test('SSL_CERT_DIR replaces the folders and leaves the bundle; it is a list', () => {
    put('/etc/ssl/cert.pem', distro);
    put('/etc/ssl/certs/other.pem', third);
    put('/a/company.pem', company);
    put('/b/third.crt', third);
    const list = [`${root}/a`, `${root}/nowhere`, `${root}/b`].join(':');
    expect(read({ SSL_CERT_DIR: `${root}/a` })).toEqual(sorted(distro, company));
    expect(read({ SSL_CERT_DIR: list })).toEqual(sorted(distro, company, third));
  });

  test('both variables together leave nothing else', () => {
    put('/etc/ssl/cert.pem', distro);
    put('/etc/ssl/certs/third.pem', third);
    mkdirSync(`${root}/none`);
    const both = { SSL_CERT_FILE: put('/company.pem', company), SSL_CERT_DIR: `${root}/none` };
    expect(read(both)).toEqual([company]);
  });

  test('on a bare machine each variable adds to the built-in roots, both replace them', () => {
    const file = put('/a/company.pem', company);
    expect(read({ SSL_CERT_FILE: file })).toEqual(sorted(company, ...builtIn));
    expect(read({ SSL_CERT_DIR: `${root}/a` })).toEqual(sorted(company, ...builtIn));
    expect(read({ SSL_CERT_FILE: file, SSL_CERT_DIR: `${root}/a` })).toEqual([company]);
  });

  test('NODE_EXTRA_CA_CERTS counts besides the store, and a file that cannot be used does no harm', () => {
    put('/etc/ssl/cert.pem', distro);
    expect(read({ NODE_EXTRA_CA_CERTS: put('/company.pem', company) })).toEqual(sorted(distro, company));
    expect(read({ NODE_EXTRA_CA_CERTS: `${root}/nowhere` })).toEqual([distro]);
  });

  test.each(['darwin', 'win32'] as const)('on %s is what Node knows of it, and the variables add to it', (platform) => {
    put('/etc/ssl/cert.pem', distro);
    const all = read({ SSL_CERT_FILE: put('/company.pem', company) }, { platform });
    expect(all).toEqual(expect.arrayContaining([company, ...builtIn]));
    expect(all).not.toContain(distro);
  });

  test('is read once, and again when a file of it has changed', () => {
    const bundle = put('/etc/ssl/certs/ca-certificates.crt', distro);
    const reader = webRootsReader({ platform: 'linux', root, checkEveryMs: 0 });
    const first = reader({});
    expect(reader({})).toBe(first);
    const changes: [() => void, string[]][] = [
      [() => put('/etc/ssl/certs/company.pem', company), [distro, company]],
      [() => put('/etc/ssl/certs/company.pem', third + company), [distro, third, company]],
      [() => unlinkSync(`${root}/etc/ssl/certs/company.pem`), [distro]],
      [() => renameSync(put('/new', company), bundle), [company]],
      [() => unlinkSync(bundle), [...builtIn]],
      [() => put('/etc/pki/tls/certs/ca-bundle.crt', third), [third]],
    ];
    for (const [change, expected] of changes) {
      change();
      expect([...reader({}).pems].sort()).toEqual(sorted(...expected));
    }
  });

  test('is not looked at for a while after it was read', () => {
    const bundle = put('/etc/ssl/certs/ca-certificates.crt', distro);
    const reader = webRootsReader({ platform: 'linux', root });
    const first = reader({});
    writeFileSync(bundle, company);
    expect(reader({})).toBe(first);
  });

  test('of a named file that is being written stays what was good', () => {
    const file = put('/company.pem', company);
    const reader = webRootsReader({ platform: 'linux', root, checkEveryMs: 0 });
    const vars = { SSL_CERT_FILE: file, SSL_CERT_DIR: dirname(file) };
    expect(reader(vars).pems).toEqual([company]);
    writeFileSync(file, third.slice(0, 100));
    expect(reader(vars).pems).toEqual([company]);
    writeFileSync(file, third);
    expect(reader(vars).pems).toEqual([third]);
  });
});

describe('S16 SSL_CERT_FILE and SSL_CERT_DIR', () => {
  test.each([
    ['is empty', '', 'it is empty'],
    ['is a key', encodePem('PRIVATE KEY', Buffer.alloc(9)), 'it holds a private key'],
    ['is broken in its middle', `${distro}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, 'broken'],
  ])('a file that %s is refused', (_what, text, found) => {
    const file = put('/ca.pem', text);
    expect(() => read({ SSL_CERT_FILE: file })).toThrow(`SSL_CERT_FILE: `);
    expect(() => read({ SSL_CERT_FILE: file })).toThrow(file);
    expect(() => read({ SSL_CERT_FILE: file })).toThrow(found);
  });

  test('a file that is missing is refused', () => {
    expect(() => read({ SSL_CERT_FILE: `${root}/nowhere` })).toThrow(
      /^SSL_CERT_FILE: cannot read .*nowhere: no such file/,
    );
  });

  test('folders without any certificate are refused by their names', () => {
    put('/etc/ssl/cert.pem', distro);
    put('/a/key.pem', encodePem('PRIVATE KEY', Buffer.alloc(9)));
    expect(() => read({ SSL_CERT_DIR: `${root}/a:${root}/b` })).toThrow(
      `SSL_CERT_DIR: there is no certificate in ${root}/a or ${root}/b`,
    );
  });
});

test('Amazon has its five roots among those of Node', () => {
  expect(amazonRoots().length).toBeGreaterThanOrEqual(5);
});
