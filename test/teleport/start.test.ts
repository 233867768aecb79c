/**
 * `teleport start` as a whole: Auth and Proxy on free ports, asked over its diagnostic listener and over TLS.
 * Tests: src/teleport/certificate-reload.ts, src/teleport/diagnostics.ts
 */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { silent } from '../../src/log.js';
import { startCertificateReload } from '../../src/teleport/certificate-reload.js';
import { metricsText, type Readiness, startDiagnostics } from '../../src/teleport/diagnostics.js';
import { run } from '../../src/teleport/start.js';
import { createTestCa } from '../support/ca.js';
import { memoryEnv } from '../support/env.js';
import { until } from '../support/until.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'teleport-start-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));

function keypair() {
  const { cert, key } = createTestCa().issue('localhost');
  return { certPem: cert, keyPem: key };
}

function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw).fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('start logs JSON to a file, tells its state over HTTP and shows a new certificate after SIGHUP', async () => {
  const [first, second] = [keypair(), keypair()];
  const [certFile, keyFile] = [join(dir, 'web.crt'), join(dir, 'web.key')];
  const put = ({ certPem, keyPem }: { certPem: string; keyPem: string }) => {
    writeFileSync(certFile, certPem);
    writeFileSync(keyFile, keyPem);
  };
  put(first);
  const logFile = join(dir, 'teleport.log');
  const config = join(dir, 'teleport.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      teleport: {
        data_dir: join(dir, 'data'),
        nodename: 'host1',
        diag_addr: ':0',
        advertise_ip: '192.0.2.1',
        log: { output: logFile, severity: 'INFO', format: { output: 'json' } },
      },
      auth_service: { enabled: 'yes', listen_addr: '127.0.0.1:0', cluster_name: 'test.example.com' },
      proxy_service: {
        enabled: 'yes',
        web_listen_addr: '127.0.0.1:0',
        https_keypairs: [{ cert_file: certFile, key_file: keyFile }],
      },
    }),
  );
  const env = memoryEnv({ home: dir });
  const running = run(env, { config });
  const lines = () =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, string>);
  const said = (message: string) =>
    until(message, async () => lines().find((line) => line.message === message)).catch((error: Error) => {
      throw new Error(`${error.message}\n${readFileSync(logFile, 'utf8')}`);
    });
  try {
    const proxyPort = Number((await said('Proxy Service is listening.')).addr!.split(':').pop());
    const diag = (await said('Diagnostics are served.')).addr!;
    expect(diag).toMatch(/^127\.0\.0\.1:/);
    expect(
      lines()
        .filter(({ setting }) => setting)
        .map(({ setting }) => setting),
    ).toEqual(['teleport.advertise_ip']);
    await until('/readyz is 200', async () => (await fetch(`http://${diag}/readyz`)).status === 200 || undefined);
    const metrics = await (await fetch(`http://${diag}/metrics`)).text();
    expect(metrics).toMatch(/^teleport_build_info\{version="18\.3\.0",/m);
    expect(metrics).toMatch(/^process_resident_memory_bytes [1-9]\d+$/m);
    expect(metrics).toMatch(/^teleport_reverse_tunnels_connected 0$/m);
    const manual = readFileSync('docs/using.md', 'utf8');
    for (const [, name] of metrics.matchAll(/^# TYPE (\w+) /gm)) expect(manual).toContain(`\`${name}\``);

    const before = await shownAt(proxyPort);
    expect(before).toBe(new X509Certificate(first.certPem).fingerprint256);
    put({ certPem: second.certPem, keyPem: first.keyPem });
    env.interrupt('SIGHUP');
    const { error } = await said('Cannot use the new web certificate, keeping the old one.');
    expect(error).toContain('is not the key of the certificate');
    expect(await shownAt(proxyPort)).toBe(before);

    put(second);
    env.interrupt('SIGHUP');
    await said('The web certificate was replaced.');
    expect(await shownAt(proxyPort)).toBe(new X509Certificate(second.certPem).fingerprint256);
    expect(env.signal.aborted).toBe(false);
  } finally {
    env.interrupt('SIGTERM');
    expect(await running).toBe(0);
  }
  expect([env.out(), env.err()]).toEqual(['', '']);
});

test('/readyz follows the state, /healthz does not; other paths and methods are refused', async () => {
  let readiness: Readiness = 'starting';
  const server = await startDiagnostics({ host: '127.0.0.1', port: 0, readiness: () => readiness, metrics: () => [] });
  try {
    const ask = async (path: string, method = 'GET') => {
      const response = await fetch(`http://127.0.0.1:${server.address.port}${path}`, { method });
      return [response.status, await response.json()];
    };
    expect(await ask('/healthz')).toEqual([200, { status: 'ok' }]);
    expect(await ask('/readyz')).toEqual([503, { status: 'teleport is starting' }]);
    readiness = 'ok';
    expect(await ask('/readyz?x=1')).toEqual([200, { status: 'ok' }]);
    readiness = 'draining';
    expect((await ask('/readyz'))[0]).toBe(503);
    expect((await ask('/healthz'))[0]).toBe(200);
    expect((await ask('/debug'))[0]).toBe(404);
    expect((await ask('/healthz', 'POST'))[0]).toBe(405);
    const { port } = server.address;
    await expect(
      startDiagnostics({ host: '127.0.0.1', port, readiness: () => readiness, metrics: () => [] }),
    ).rejects.toThrow(`diag_addr 127.0.0.1:${port}: `);
  } finally {
    await server.close();
  }
});

test('label values of metrics are escaped', () => {
  const labels = { version: 'a"b\\c\nd' };
  expect(metricsText([{ name: 'm', type: 'gauge', help: 'h.', value: 1, labels }])).toBe(
    '# HELP m h.\n# TYPE m gauge\nm{version="a\\"b\\\\c\\nd"} 1\n',
  );
});

test('certificate files are looked at again at every interval, and applied only when they have changed', async () => {
  let readings = 0;
  const applied: string[] = [];
  let done!: () => void;
  const enough = new Promise<void>((resolve) => {
    done = resolve;
  });
  const reload = startCertificateReload({
    shown: { certPem: 'a', keyPem: 'k' },
    read: async () => {
      readings += 1;
      if (readings === 2) throw new Error('half written');
      if (readings > 4) done();
      return { certPem: readings > 2 ? 'b' : 'a', keyPem: 'k' };
    },
    apply: ({ certPem }) => void applied.push(certPem),
    intervalMs: 1,
    log: silent,
  });
  await enough;
  await reload.close();
  expect(applied).toEqual(['b']);
});
