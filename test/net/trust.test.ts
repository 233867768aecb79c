/**
 * Real handshakes: who is trusted, what a connection costs, and who is blamed when a setting is wrong.
 * Tests: src/net/dial.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { dialTls, type TlsSettings } from '../../src/net/dial.js';
import { secureContextFor } from '../../src/net/trust.js';
import { createTestCa } from '../support/ca.js';

const dir = mkdtempSync(join(tmpdir(), 'trust-'));
const company = createTestCa('Company');
const other = createTestCa('Other');
const { cert, key } = company.issue('localhost');
let server: Server;
let port: number;
/** Nothing but these. */
const storeOf = (pem: string, name: string) => {
  const file = join(dir, name);
  writeFileSync(file, pem);
  return { SSL_CERT_FILE: file, SSL_CERT_DIR: join(dir, 'no-folder') };
};
const others = storeOf(other.certPem, 'other.crt');
const nowhere = { SSL_CERT_FILE: join(dir, 'nowhere'), SSL_CERT_DIR: join(dir, 'no-folder') };

beforeAll(async () => {
  server = createServer({ cert, key }, (socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true });
});

async function dial(options: TlsSettings): Promise<void> {
  const socket = await dialTls({ host: 'localhost', port, ...options });
  socket.destroy();
}

const UNKNOWN = expect.objectContaining({ certificateProblem: 'unknown-authority' });

describe('S7 a connection to the web', () => {
  test('trusts what the store holds, and nothing else', async () => {
    await expect(dial({ vars: others })).rejects.toEqual(UNKNOWN);
    const folder = mkdtempSync(join(dir, 'folder-'));
    writeFileSync(join(folder, 'company.pem'), company.certPem);
    await dial({ vars: { ...others, SSL_CERT_DIR: `${folder}:/nowhere` } });
  });

  test('trusts NODE_EXTRA_CA_CERTS besides a store that was named', async () => {
    const file = join(dir, 'extra');
    writeFileSync(file, company.certPem);
    await expect(dial({ vars: others })).rejects.toEqual(UNKNOWN);
    await dial({ vars: { ...others, NODE_EXTRA_CA_CERTS: file } });
  });

  test('trusts its own authorities and the store together where both are wanted', async () => {
    await expect(dial({ vars: others, ca: other.certPem, systemRoots: true })).rejects.toEqual(UNKNOWN);
    await dial({ vars: others, ca: company.certPem, systemRoots: true });
    await dial({ vars: storeOf(company.certPem, 'company.crt'), ca: other.certPem, systemRoots: true });
  });

  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const hasPartial = major > 22 || (major === 22 && minor >= 9) || (major === 20 && minor >= 18);
  (hasPartial ? test : test.skip)(
    'trusts what was put into the store without its issuer, as curl and Go do',
    async () => {
      await dial({ vars: storeOf(cert, 'server.crt') });
    },
  );
});

describe('F4 the store of a process', () => {
  test('is one for all connections, whatever else they have', () => {
    const of = (options: Partial<TlsSettings> = {}) => secureContextFor({ vars: others, ...options });
    expect(of()).toBe(of());
    expect(of({ ca: company.certPem })).toBe(of({ ca: [company.certPem] }));
    expect(of({ cert, key })).toBe(of({ cert, key }));
    const different = [
      of(),
      of({ ca: company.certPem }),
      of({ ca: company.certPem, systemRoots: true }),
      of({ ca: [] }),
      of({ cert, key }),
      of({ vars: storeOf(company.certPem, 'another.crt') }),
    ];
    expect(new Set(different).size).toBe(different.length);
  });

  test('does not grow with the keys that are shown', async () => {
    const first = secureContextFor({ vars: others, cert, key });
    for (let i = 0; i < 40; i++)
      secureContextFor({ vars: others, ca: other.certPem.replace('\n', `\n${' '.repeat(i)}`) });
    expect(secureContextFor({ vars: others, cert, key })).not.toBe(first); // the oldest has gone
  });

  test('is not read for a connection that has its own authorities, or asks for none', async () => {
    await dial({ vars: nowhere, ca: company.certPem });
    await dial({ vars: nowhere, rejectUnauthorized: false });
  });
});

describe('S16 authorities that cannot be used', () => {
  test('are told, and the server is not blamed', async () => {
    const file = join(dir, 'key.pem');
    writeFileSync(file, key);
    await expect(dial({ vars: { SSL_CERT_FILE: file } })).rejects.toMatchObject({
      code: 'BadParameter',
      message: `SSL_CERT_FILE: there is no certificate in ${file}: it holds a private key (PRIVATE KEY)`,
    });
    await expect(dial({ ca: 'nothing' })).rejects.toMatchObject({ code: 'BadParameter' });
  });
});
