/** Host authorities as the login answer and `GetCertAuthorities` bring them, in the form in which they are kept. */
import type { AuthClient } from '../../api/client.js';
import { withoutAuthority } from '../../api/without-authority.js';
import { knownHostsLine } from '../../identity/known-hosts.js';
import { readAuthorizedKey } from '../../pki/ssh/certificate.js';
import type { HostCa } from '../../profile/store.js';
import type { LoginAnswer } from '../../webapi/login-answer.js';

/** The authorities of a login answer: exactly those of the root cluster. */
export function hostCasOfAnswer(signers: LoginAnswer['hostSigners'], proxyHost: string): HostCa[] {
  return signers.map(({ clusterName, sshKeys, tlsPems }) => ({
    cluster: clusterName,
    tlsPems,
    knownHosts: lines(proxyHost, clusterName, sshKeys),
  }));
}

/** All host authorities that a cluster trusts, leaves included; during a rotation old and new ones. */
export async function fetchHostCas(api: AuthClient, proxyHost: string): Promise<HostCa[]> {
  const { certAuthoritiesV2 } = await api.trust.getCertAuthorities({ type: 'host' });
  return certAuthoritiesV2.flatMap(({ spec }) => {
    const sets = [spec?.activeKeys, spec?.additionalTrustedKeys].filter((set) => set !== undefined);
    const cluster = spec?.clusterName ?? '';
    const tlsPems = sets.flatMap((set) => set.tls.map(({ cert }) => text(cert)));
    const sshKeys = sets.flatMap((set) => set.ssh.map(({ publicKey }) => text(publicKey)));
    return cluster === '' ? [] : [{ cluster, tlsPems, knownHosts: lines(proxyHost, cluster, sshKeys) }];
  });
}

/** The TLS authorities of a cluster. @throws TeleportError `ConnectionProblem` when there are none */
export function tlsCasOf(cas: readonly HostCa[], cluster: string): string[] {
  const pems = cas.filter((ca) => ca.cluster === cluster).flatMap((ca) => ca.tlsPems);
  if (pems.length === 0) throw withoutAuthority(cluster);
  return pems;
}

function lines(proxyHost: string, cluster: string, sshKeys: readonly string[]): string[] {
  return sshKeys.map((line) => knownHostsLine({ proxyHost, cluster, key: readAuthorizedKey(line) }));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
