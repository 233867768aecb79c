/**
 * What the Proxy answers to a login that succeeded, whichever way it was made: `POST …/mfa/login/finish`, or the sealed
 * part of a single sign-on redirect. Spec: login-and-profile.md 2.4. Pure.
 */
import { TeleportError } from '../errors.js';

export interface LoginAnswer {
  username: string;
  /** SSH certificate, one line. */
  sshCert: string | undefined;
  tlsCertPem: string;
  hostSigners: { clusterName: string; sshKeys: string[]; tlsPems: string[] }[];
  defaultRelayAddr?: string;
}

/** The JSON of an answer; `bytes` are base64. */
interface RawLoginAnswer {
  username?: unknown;
  cert?: unknown;
  tls_cert?: unknown;
  host_signers?: unknown;
  client_options?: { default_relay_addr?: unknown } | null;
}

/** @throws TeleportError `Protocol` when a part is missing or of the wrong kind */
export function loginAnswer(value: unknown): LoginAnswer {
  const raw = (value ?? {}) as RawLoginAnswer;
  const username = textOf(raw.username);
  const tlsCertPem = decoded(raw.tls_cert);
  const sshCert = decoded(raw.cert).trim();
  const relay = textOf(raw.client_options?.default_relay_addr);
  if (!tlsCertPem || !username) {
    throw new TeleportError('Protocol', 'the proxy answered a login without a certificate');
  }
  const hostSigners = listOf(raw.host_signers).map((one) => {
    const signer = (one ?? {}) as { domain_name?: unknown; checking_keys?: unknown; tls_certs?: unknown };
    return {
      clusterName: textOf(signer.domain_name),
      sshKeys: listOf(signer.checking_keys).map((key) => decoded(key).trim()),
      tlsPems: listOf(signer.tls_certs).map(decoded),
    };
  });
  if (hostSigners.length === 0) {
    throw new TeleportError('Protocol', 'the proxy answered a login without host authorities');
  }
  return {
    username,
    sshCert: sshCert || undefined,
    tlsCertPem,
    hostSigners,
    ...(relay ? { defaultRelayAddr: relay } : {}),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function decoded(value: unknown): string {
  return Buffer.from(textOf(value), 'base64').toString('utf8');
}
