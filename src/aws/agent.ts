/**
 * How AWS's HTTPS endpoints are reached: through the proxy that HTTPS_PROXY names unless NO_PROXY excepts them, trusting
 * the authorities of AWS_CA_BUNDLE or the profile's `ca_bundle` alone where one is set. The SDK for JavaScript obeys none
 * of them; the `aws` command obeys all.
 *
 * Source: AWS CLI user guide, "Using an HTTP proxy" and "Environment variables".
 */
import { statSync } from 'node:fs';
import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { dialTls } from '../net/dial.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import type { ProfileSettings } from './profile.js';

type Vars = Record<string, string | undefined>;

/** @throws BadParameter when the file of authorities cannot be used */
export function httpsAgent(vars: Vars, connectTimeoutMs: number, caBundle: ProfileSettings['caBundle']): Agent {
  return new DialAgent(vars, connectTimeoutMs, caBundle && authoritiesIn(caBundle));
}

class DialAgent extends Agent {
  readonly #dial: (target: { host: string; port: number; servername?: string }) => Promise<Duplex>;

  constructor(vars: Vars, timeoutMs: number, ca: string[] | undefined) {
    super({ keepAlive: true });
    this.#dial = (target) => dialTls({ ...target, vars, timeoutMs, alpn: ['http/1.1'], ...(ca ? { ca } : {}) });
  }

  override createConnection(
    options: AgentOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { host, port, servername } = options as { host?: string; port?: number | string; servername?: string };
    const target = { host: host ?? 'localhost', port: Number(port ?? 443), ...(servername ? { servername } : {}) };
    this.#dial(target).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    );
  }
}

/** Clients are made for each region: the file is read once, and again when it has changed. */
let last: { file: string; stamp: string; pems: string[] } | undefined;

function authoritiesIn({ file, from }: { file: string; from: string }): string[] {
  const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
  const stamp = `${ino} ${size} ${mtimeMs}`;
  if (last?.file === file && last.stamp === stamp) return last.pems;
  const pems = readCertificateFile(file, from, 'Or unset it to trust the authorities of this system.');
  last = { file, stamp, pems };
  return pems;
}
