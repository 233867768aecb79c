/**
 * The built `tsh` on a machine with another trust store: `/etc/ssl/certs` is replaced for the one process, in a mount
 * namespace of its own. Needs Linux and the right to mount; elsewhere the tests of `test/net` have to do.
 * Tests: src/net/roots.ts, src/net/trust.ts
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCa } from '../support/ca.js';

const mountable =
  spawnSync('unshare', ['-m', 'true']).status === 0 && spawnSync('test', ['-d', '/etc/ssl/certs']).status === 0;
const withMounts = mountable ? test : test.skip;

const company = createTestCa('Company');
const other = createTestCa('Other');
let server: Server;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'trust-store-'));
  const { cert, key } = company.issue('localhost');
  server = createServer({ cert, key }, (_request, response) => response.end('a page, and no Proxy'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true });
});

/** What `tsh login` says where the store is this folder. */
async function login(store: string, vars: Record<string, string> = {}): Promise<string> {
  const script = 'mount --bind "$0" /etc/ssl/certs && exec "$@"';
  const { port } = server.address() as AddressInfo;
  const tsh = [process.execPath, 'dist/tsh.js', 'login', `--proxy=localhost:${port}`, '--user=alice'];
  const env = { PATH: process.env.PATH, HOME: dir, TELEPORT_GLOBAL_TSH_CONFIG: join(dir, 'none'), ...vars };
  return await new Promise((resolve) => {
    execFile('unshare', ['-m', 'sh', '-c', script, store, ...tsh], { env, timeout: 100_000 }, (_error, _out, err) =>
      resolve(err),
    );
  });
}

function storeOf(name: string, files: Record<string, string>): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

const TRUSTED = /not a JSON object|HTTP|not a Teleport proxy/;
const REFUSED = 'was signed by an authority that this machine does not know';

describe('S7 the store of the machine', () => {
  withMounts('a company CA in the bundle is trusted without a variable, and nothing else is', async () => {
    const bundle = other.certPem + company.certPem;
    expect(await login(storeOf('bundle', { 'ca-certificates.crt': bundle }))).toMatch(TRUSTED);
    expect(await login(storeOf('others', { 'ca-certificates.crt': other.certPem }))).toContain(REFUSED);
  });

  withMounts('a company CA beside the bundle is trusted, through a link too', async () => {
    const folder = storeOf('folder', { 'ca-certificates.crt': other.certPem });
    const file = join(dir, 'company.crt');
    writeFileSync(file, company.certPem);
    symlinkSync(file, join(folder, 'company.pem'));
    expect(await login(folder)).toMatch(TRUSTED);
  });

  withMounts(
    'SSL_CERT_FILE adds to the folder of the system, and is refused when it holds no certificate',
    async () => {
      const folder = storeOf('beside', { 'other.pem': other.certPem });
      const file = join(dir, 'named.pem');
      writeFileSync(file, company.certPem);
      expect(await login(folder, { SSL_CERT_FILE: file })).toMatch(TRUSTED);
      writeFileSync(file, 'no certificate');
      expect(await login(folder, { SSL_CERT_FILE: file })).toContain(
        `SSL_CERT_FILE: there is no certificate in ${file}`,
      );
    },
  );

  withMounts('NODE_EXTRA_CA_CERTS counts where the system has a store', async () => {
    const folder = storeOf('extra', { 'other.pem': other.certPem });
    const file = join(dir, 'extra.pem');
    writeFileSync(file, company.certPem);
    expect(await login(folder, { NODE_EXTRA_CA_CERTS: file })).toMatch(TRUSTED);
  });
});

test.each(['localhost', 'localhost:1'])(
  'S16 a bad SSL_CERT_FILE is what is wrong, and no Proxy: --proxy=%s',
  (proxy) => {
    const file = join(dir, 'key.pem');
    writeFileSync(file, '');
    const env = {
      PATH: process.env.PATH,
      HOME: dir,
      TELEPORT_GLOBAL_TSH_CONFIG: join(dir, 'none'),
      SSL_CERT_FILE: file,
    };
    const { stderr } = spawnSync(process.execPath, ['dist/tsh.js', 'login', `--proxy=${proxy}`], {
      env,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/^ERROR: SSL_CERT_FILE: there is no certificate in /);
    expect(stderr).toContain(`${file}: it is empty`);
    expect(stderr).toContain('unset it');
  },
);
