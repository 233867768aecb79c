/**
 * Hosts that join a cluster and start again: what is read when, and what they are told when it does not work.
 * Tests: src/tctl/status.ts, src/tctl/tokens/rm.ts
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { certificateProblem } from '../../src/certificate-problem.js';
import { silent } from '../../src/log.js';
import type { TeleportFile } from '../../src/resources/teleport-yaml.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import type { StartFlags } from '../../src/teleport/start-flags.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';

let cluster: TestCluster;
let other: TestCluster;
let dir: string;
let count = 0;
/** What agents trust, as every program of their host does. */
let trusted: string;

beforeAll(async () => {
  [cluster, other] = await Promise.all([startTestCluster({ agent: false }), startTestCluster({ agent: false })]);
  trusted = join(cluster.dir, 'both.pem');
  writeFileSync(trusted, [cluster, other].map(({ webCaFile }) => readFileSync(webCaFile, 'utf8')).join(''));
});
afterAll(async () => {
  await Promise.all([cluster?.stop(), other?.stop()]);
});
beforeEach(() => {
  dir = join(cluster.dir, `host-${++count}`);
  mkdirSync(dir);
});

const tokenFile = () => join(dir, 'token');
const identityOf = (role: string) => join(dir, 'data', `identity-${role}.json`);

async function newToken(type: string): Promise<string> {
  return (await cluster.tctl('tokens', 'add', `--type=${type}`, '--format=text')).stdout;
}

/** Start with this section `teleport`, and stop. */
async function startOnce(
  role: 'db' | 'proxy',
  section: TeleportFile['teleport'],
  flags: StartFlags = {},
): Promise<void> {
  const config = {
    teleport: { nodename: 'host', data_dir: join(dir, 'data'), ...section },
    auth_service: { enabled: false },
    proxy_service: { enabled: role === 'proxy', web_listen_addr: '127.0.0.1:0' },
    db_service: { enabled: role === 'db' },
  };
  const vars = { SSL_CERT_FILE: trusted };
  const running = await startTeleport(teleportConfig(flags, 'teleport.yaml', config), { log: silent, vars });
  await running.close({ drainMs: 0 });
}

describe('S2 the join token is read only to join', () => {
  test.each([
    ['auth_token', (file: string) => [{ auth_token: file }, {}]],
    ['join_params', (file: string) => [{ join_params: { method: 'token', token_name: file } }, {}]],
    ['--token', (file: string) => [{}, { token: file }]],
  ] as [string, (file: string) => [TeleportFile['teleport'], StartFlags]][])(
    'an agent with %s starts again once the file is gone, and once the token is',
    async (_, settings) => {
      const [section, flags] = settings(tokenFile());
      const token = await newToken('db');
      writeFileSync(tokenFile(), token);
      const all = { proxy_server: cluster.proxyAddr, ...section };
      await startOnce('db', all, flags);
      rmSync(tokenFile());
      await cluster.tctl('tokens', 'rm', token.trim());
      await startOnce('db', all, flags);
    },
  );

  test('a Proxy starts again without its token and without the file of its CA pin', async () => {
    const pinFile = join(dir, 'pin');
    writeFileSync(tokenFile(), await newToken('proxy'));
    const pins = /sha256:[0-9a-f]+/.exec((await cluster.tctl('status')).stdout)!;
    writeFileSync(pinFile, `${pins[0]}\n`);
    const { port } = cluster.teleport.auth!;
    const section = { auth_server: `127.0.0.1:${port}`, auth_token: tokenFile(), ca_pin: [pinFile] };
    await startOnce('proxy', section);
    rmSync(tokenFile());
    rmSync(pinFile);
    await startOnce('proxy', section);
  });

  test('with neither identity nor token it says so, and how to get one', async () => {
    const start = (section: TeleportFile['teleport'], flags = {}) =>
      startOnce('db', { proxy_server: cluster.proxyAddr, ...section }, flags);
    const hint = expect.stringContaining('tctl tokens add --type=db --format=text');
    await expect(start({})).rejects.toMatchObject({
      message: 'this host has not joined the cluster yet, and there is no join token',
      hint,
    });
    await expect(start({ auth_token: tokenFile() })).rejects.toMatchObject({
      message: `this host has not joined the cluster yet, and cannot read the join token from ${tokenFile()}: no such file or directory`,
      hint,
    });
    writeFileSync(tokenFile(), '\n');
    await expect(start({ auth_token: tokenFile() })).rejects.toMatchObject({
      message: `this host has not joined the cluster yet, and the file of the join token is empty: ${tokenFile()}`,
      hint,
    });
    writeFileSync(tokenFile(), (await cluster.tctl('tokens', 'add', '--type=db')).stdout);
    await expect(start({ auth_token: tokenFile() })).rejects.toMatchObject({
      message: `this host has not joined the cluster yet, and the file of the join token holds more than a token: ${tokenFile()}`,
      hint,
    });
    await expect(start({ auth_token: 'x', ca_pin: [join(dir, 'nopin')] })).rejects.toMatchObject({
      message: `cannot read the CA pin from ${join(dir, 'nopin')}: no such file or directory`,
      hint: expect.stringContaining('tctl status'),
    });
  });

  test('an identity that cannot be used is refused with its file, before the token is looked at', async () => {
    writeFileSync(tokenFile(), await newToken('db'));
    const section = { proxy_server: cluster.proxyAddr, auth_token: tokenFile() };
    await startOnce('db', section);
    rmSync(tokenFile());
    const whole = JSON.parse(readFileSync(identityOf('db'), 'utf8')) as Record<string, unknown>;
    const foreign = JSON.parse(readFileSync(join(other.dataDir, 'admin-identity.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    for (const [text, why] of [
      ['', 'it is empty'],
      ['{"certPem', 'it is damaged'],
      ['[]', 'it is damaged'],
      [JSON.stringify({ ...whole, certPem: 'x' }), 'it is damaged'],
      [JSON.stringify({ ...whole, hostCaPems: [] }), 'it is damaged'],
      [JSON.stringify({ ...whole, clusterName: undefined }), 'it is damaged'],
      [JSON.stringify({ ...whole, keyPem: foreign.keyPem }), 'the key is not that of the certificate'],
      [JSON.stringify({ ...whole, role: 'Proxy' }), 'it is of role Proxy, not Db'],
    ] as const) {
      writeFileSync(identityOf('db'), text);
      await expect(startOnce('db', section)).rejects.toMatchObject({
        code: 'BadParameter',
        message: `the identity file ${identityOf('db')} cannot be used: ${why}`,
        hint: expect.stringContaining(`rm ${identityOf('db')}`),
      });
    }
  });

  test('an identity of another cluster is named, and no authority of this machine is blamed', async () => {
    writeFileSync(tokenFile(), await newToken('db'));
    await startOnce('db', { proxy_server: cluster.proxyAddr, auth_token: tokenFile() });
    const refused = startOnce('db', { proxy_server: other.proxyAddr });
    await expect(refused).rejects.toMatchObject({
      code: 'AccessDenied',
      message: `this host belongs to cluster "test.example.com" (${identityOf('db')}), but ${other.proxyAddr} has no certificate of that cluster`,
      hint: expect.stringContaining('remove'),
    });
    expect(certificateProblem(await refused.catch((error: unknown) => error))).toBeUndefined();
  });
});

describe('W15 a join that fails leads to what was wrong', () => {
  const start = (address: string, section: object = {}) =>
    startOnce('db', { proxy_server: address, auth_token: 'abc', ...section });

  test('an address where nobody answers', async () => {
    await expect(start('127.0.0.1:1')).rejects.toMatchObject({
      message: expect.stringMatching(
        /^joining the cluster failed: dial tcp 127\.0\.0\.1:1: connect: connection refused/,
      ),
      hint: expect.stringMatching(/^Is 127\.0\.0\.1:1 the address of the cluster's Proxy/),
    });
  });

  test('an address where nobody answers any more, of a host that joined earlier', async () => {
    const token = (await newToken('db')).trim();
    await startOnce('db', { proxy_server: cluster.proxyAddr, auth_token: token });
    await expect(start('127.0.0.1:1')).rejects.toMatchObject({
      code: 'ConnectionProblem',
      message: 'the cluster cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused',
      hint: expect.stringMatching(/^Is 127\.0\.0\.1:1 the address of the cluster's Proxy/),
    });
  });

  test('an address of something else', async () => {
    const web = createServer((_, response) => response.writeHead(404).end('<html>'));
    await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
    const { port } = web.address() as AddressInfo;
    const refused = start(`127.0.0.1:${port}`);
    await expect(refused).rejects.toMatchObject({
      hint: expect.stringContaining(`Is 127.0.0.1:${port} the address`),
    });
    await expect(refused).rejects.not.toMatchObject({ hint: expect.stringContaining('token') });
    web.close();
  });

  test('a token that is not valid, or for another role', async () => {
    const hint = expect.stringContaining('tctl tokens add --type=db');
    await expect(start(cluster.proxyAddr)).rejects.toMatchObject({ code: 'AccessDenied', hint });
    const proxyToken = (await newToken('proxy')).trim();
    await expect(start(cluster.proxyAddr, { auth_token: proxyToken })).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('the token does not allow "Db" role'),
      hint,
    });
  });

  test('a CA pin of another cluster', async () => {
    const token = (await newToken('db')).trim();
    await expect(
      start(cluster.proxyAddr, { auth_token: token, ca_pin: [`sha256:${'0'.repeat(64)}`] }),
    ).rejects.toMatchObject({ code: 'AccessDenied', hint: expect.stringContaining('ca_pin') });
  });

  test('a Proxy whose certificate is not trusted is told by its certificate', async () => {
    const known = trusted;
    trusted = other.webCaFile;
    try {
      await expect(start(cluster.proxyAddr)).rejects.toMatchObject({
        cause: expect.objectContaining({ certificateProblem: 'unknown-authority' }),
      });
    } finally {
      trusted = known;
    }
  });
});

test('X9 tctl tokens add binds a token to databases, and tctl get shows it', async () => {
  const binding = ['--databases=sales,dev-*', '--db-labels=env=dev'];
  const name = (await cluster.tctl('tokens', 'add', '--type=db', '--format=text', ...binding)).stdout.trim();
  const shown = await cluster.tctl('get', `token/${name}`, '--format=json', '--with-secrets');
  expect(JSON.parse(shown.stdout)).toMatchObject([
    { spec: { roles: ['Db'], databases: ['sales', 'dev-*'], db_labels: { env: 'dev' } } },
  ]);
  expect(await cluster.tctl('tokens', 'add', '--type=proxy', ...binding)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--databases and --db-labels are about agents for databases: add --type=db'),
  });
});
