/**
 * How AWS's HTTPS endpoints are reached: through the proxy that HTTPS_PROXY names unless NO_PROXY excepts them, trusting
 * the authorities of AWS_CA_BUNDLE or the profile's `ca_bundle` alone where one is set. The SDK for JavaScript obeys none
 * of them; the `aws` command obeys all.
 *
 * Source: AWS CLI user guide, "Using an HTTP proxy" and "Environment variables".
 */
import { statSync } from 'node:fs';
import type { Agent } from 'node:https';
import { DialAgent } from '../net/https-agent.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import type { ProfileSettings } from './profile.js';

type Vars = Record<string, string | undefined>;

/** @throws BadParameter when the file of authorities cannot be used */
export function httpsAgent(vars: Vars, connectTimeoutMs: number, caBundle: ProfileSettings['caBundle']): Agent {
  return new DialAgent({ vars, timeoutMs: connectTimeoutMs, ca: caBundle && authoritiesIn(caBundle) });
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
