/**
 * AWS's own endpoints, reached through an HTTP proxy as the `aws` command reaches them: behind it stands the double.
 * Tests: src/net/https-agent.ts
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { redshiftIamCredentials } from '../../src/aws/credentials.js';
import { callerIdentity } from '../../src/aws/sts.js';
import type { TeleportError } from '../../src/errors.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';

const region = 'us-east-1';
const before = { ...process.env };
const sockets = new Set<Socket>();
const tunnels: string[] = [];
let aws: AwsDouble;
let dir: string;
let tlsPort: number;
let proxyPort: number;
let close: () => Promise<unknown>;

beforeAll(async () => {
  aws = await startAwsDouble();
  dir = mkdtempSync(join(tmpdir(), 'aws-agent-'));
  const ca = createTestCa('Inspecting proxy');
  writeFileSync(join(dir, 'ca.pem'), ca.certPem);
  writeFileSync(join(dir, 'empty.pem'), 'nothing\n');
  writeFileSync(join(dir, 'half.pem'), ca.certPem.slice(0, 100));
  const { cert, key } = ca.issue(['*.us-east-1.amazonaws.com', 'localhost']);
  writeFileSync(join(dir, 'key.pem'), key);
  const keep = (socket: Socket) => {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
  };
  const front = createTlsServer({ cert, key }, (socket) => {
    keep(socket)
      .pipe(keep(connect(Number(new URL(aws.url).port))))
      .pipe(socket);
  });
  const proxy = createServer().on('connect', (request, socket: Socket) => {
    tunnels.push(request.url ?? '');
    keep(socket);
    if (request.headers['proxy-authorization'] !== `Basic ${btoa('me:secret')}`) {
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(keep(connect(tlsPort))).pipe(socket);
  });
  const listen = (server: typeof front | typeof proxy) =>
    new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  [tlsPort, proxyPort] = [await listen(front), await listen(proxy)];
  close = () => Promise.all([front, proxy].map((server) => new Promise((resolve) => server.close(resolve))));
});

afterAll(async () => {
  process.env = before;
  for (const socket of sockets) socket.destroy();
  await close();
  await aws.stop();
  rmSync(dir, { recursive: true });
});

beforeEach(() => {
  tunnels.length = 0;
  process.env = { ...before, ...aws.env(aws.addUser('me')), AWS_CA_BUNDLE: join(dir, 'ca.pem') };
  delete process.env.AWS_ENDPOINT_URL;
  process.env.HTTPS_PROXY = `http://me:secret@127.0.0.1:${proxyPort}`;
});

async function failure(promise: Promise<unknown>): Promise<TeleportError> {
  return await promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  );
}

test('HTTPS_PROXY leads to AWS, roles assumed on the way included', async () => {
  aws.addRedshiftCluster({ id: 'c1' });
  const role = aws.addRole('reader', {
    trust: { Statement: { Effect: 'Allow', Principal: { AWS: aws.accountId }, Action: 'sts:AssumeRole' } },
    policies: [{ Statement: { Effect: 'Allow', Action: 'redshift:*', Resource: '*' } }],
  });
  const user = aws.addUser('you', {
    policies: [{ Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' } }],
  });
  const keys = aws.accessKeyFor(user);
  process.env.AWS_ACCESS_KEY_ID = keys.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = keys.secretAccessKey;
  const chain = [{ roleArn: role.arn }];
  const { user: name } = await redshiftIamCredentials({ region, clusterId: 'c1', dbName: 'dev', chain });
  expect(name).toBe('IAMR:reader');
  expect(tunnels).toEqual(['sts.us-east-1.amazonaws.com:443', 'redshift.us-east-1.amazonaws.com:443']);
});

test('what is on this machine is not asked of the proxy', async () => {
  process.env.AWS_ENDPOINT_URL = `https://localhost:${tlsPort}`;
  expect((await callerIdentity({ region })).arn).toContain(':user/me');
  expect(tunnels).toEqual([]);
});

test('without AWS_CA_BUNDLE only the public authorities count, and the error says how to add one', async () => {
  delete process.env.AWS_CA_BUNDLE;
  expect(await failure(callerIdentity({ region }))).toMatchObject({
    code: 'ConnectionProblem',
    message: expect.stringContaining('certificate signed by unknown authority'),
    hint: expect.stringContaining('AWS_CA_BUNDLE='),
  });
});

test.each([
  ['empty.pem', ' it is not PEM text'],
  ['missing.pem', 'no such file'],
  ['key.pem', 'it holds a private key'],
  ['half.pem', 'does not end'],
])('S16 AWS_CA_BUNDLE=%s is refused before anything is sent', async (file, found) => {
  process.env.AWS_CA_BUNDLE = join(dir, file);
  const { code, message } = await failure(callerIdentity({ region }));
  expect(code).toBe('BadParameter');
  expect(message).toMatch(/^AWS_CA_BUNDLE: .*\.pem/);
  expect(message).toContain(found);
  expect(tunnels).toEqual([]);
});

test('F4 AWS_CA_BUNDLE is read once for all clients, and again when it has changed', async () => {
  const file = join(dir, 'changing.pem');
  process.env.AWS_CA_BUNDLE = file;
  writeFileSync(file, readFileSync(join(dir, 'ca.pem')));
  await callerIdentity({ region });
  writeFileSync(file, '');
  expect(await failure(callerIdentity({ region }))).toMatchObject({ code: 'BadParameter' });
});

test('a proxy that refuses is named, its password is not', async () => {
  process.env.HTTPS_PROXY = `http://me:wrong@127.0.0.1:${proxyPort}`;
  const { code, message, hint } = await failure(callerIdentity({ region }));
  expect(code).toBe('ConnectionProblem');
  expect(message).toContain('HTTP proxy refused a tunnel to sts.us-east-1.amazonaws.com:443: HTTP status 407');
  expect(`${message}${hint}`).not.toContain('wrong');
});
