/** Host authorities as the login answer and `GetCertAuthorities` bring them, in the form in which they are kept. */
import { fetchAuthorityKeys } from '../../api/authorities.js';
import type { AuthClient } from '../../api/client.js';
import { withoutAuthority } from '../../api/without-authority.js';
import { messageOf } from '../../errors.js';
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

/**
 * All host authorities that a cluster trusts, leaves included; during a rotation old and new ones.
 *
 * @param onLeftOut  called with each that is of no use, for people: one cluster must not keep a login from the others
 */
export async function fetchHostCas(
  api: AuthClient,
  proxyHost: string,
  onLeftOut?: (what: string) => void,
): Promise<HostCa[]> {
  const keys = (await fetchAuthorityKeys(api, 'host', onLeftOut)).filter(({ cluster }) => cluster !== '');
  return [...new Set(keys.map(({ cluster }) => cluster))].flatMap((cluster) => {
    const textsOf = (kind: 'tls' | 'ssh') =>
      keys.filter((key) => key.cluster === cluster && key.kind === kind).map(({ text }) => text);
    try {
      return [{ cluster, tlsPems: textsOf('tls'), knownHosts: lines(proxyHost, cluster, textsOf('ssh')) }];
    } catch (error) {
      onLeftOut?.(messageOf(error));
      return [];
    }
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
