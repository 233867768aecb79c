/**
 * Pebble, the small ACME server of Let's Encrypt for tests, and a DNS server that leads every name to this machine. It is made from
 * its Go module by `.ci/run`; where it is not there, tests say so and are skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { createTestCa } from './ca.js';
import { freePort } from './free-port.js';

const FOLDERS = [
  resolve('node_modules/.cache/teleshift/bin'),
  ...(process.env.PATH ?? '').split(delimiter),
  join(homedir(), 'go/bin'),
];

/** The program; undefined where it is not there. */
export const PEBBLE = FOLDERS.map((folder) => join(folder, 'pebble')).find((file) => existsSync(file));

export interface Pebble {
  /** URL. */
  directory: string;
  /** PEM file: who signs its HTTPS. */
  caFile: string;
  stop(): Promise<void>;
}

export interface PebbleOptions {
  /** Where it looks for answers, in place of 443. */
  challengePort: number;
  /** Key id → key, in base64url: nobody else may have an account. */
  bindings?: Record<string, string>;
  /** Of the certificates, in seconds. */
  lifeSeconds?: number;
}

export async function startPebble({
  challengePort,
  bindings,
  lifeSeconds = 7_776_000,
}: PebbleOptions): Promise<Pebble> {
  const dir = mkdtempSync(join(tmpdir(), 'pebble-'));
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const ca = createTestCa('ACME HTTPS');
  const { cert, key } = ca.issue(['localhost', '127.0.0.1']);
  const [port, management, dns] = [await freePort(), await freePort(), await startDns()];
  const config = write(
    'config.json',
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: write('cert.pem', cert),
        privateKey: write('key.pem', key),
        httpPort: 9,
        tlsPort: challengePort,
        externalAccountBindingRequired: bindings !== undefined,
        externalAccountMACKeys: bindings ?? {},
        certificateValidityPeriod: lifeSeconds,
        retryAfter: { authz: 1, order: 1 },
      },
    }),
  );
  const child = spawn(PEBBLE!, ['-config', config, '-dnsserver', `127.0.0.1:${dns.port}`], {
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0', HOME: dir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = async () => {
    await ended(child);
    dns.close();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await ready(child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { directory: `https://localhost:${port}/dir`, caFile: write('ca.pem', ca.certPem), stop };
}

async function ready(child: ChildProcess): Promise<void> {
  let text = '';
  await new Promise<void>((done, failed) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('ACME directory available at')) done();
      });
    }
    child.once('error', failed).once('exit', () => failed(new Error(`pebble ended: ${text}`)));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Says 127.0.0.1 for every name that it is asked for. */
async function startDns(): Promise<{ port: number; close: () => void }> {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const end = query.indexOf(0, 12) + 5;
    const isAddress = query.readUInt16BE(end - 4) === 1;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isAddress ? 1 : 0, 6);
    head.writeUInt16BE(0, 10);
    const answer = Buffer.from('c00c00010001000000000004' + '7f000001', 'hex');
    socket.send(
      Buffer.concat([head, query.subarray(12, end), ...(isAddress ? [answer] : [])]),
      from.port,
      from.address,
    );
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: (socket.address() as AddressInfo).port, close: () => socket.close() };
}
