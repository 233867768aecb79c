/**
 * A certificate from an ACME authority (RFC 8555), by the challenge TLS-ALPN-01 (RFC 8737): the authority dials port 443 of each
 * name and expects a certificate that holds what it asked for. The server on that port gets this certificate from here.
 */
import { inSeconds, messageOf, TeleportError } from '../errors.js';
import { DialAgent } from '../net/https-agent.js';
import { inTime } from '../wait.js';

export interface AcmeAuthority {
  /** URL of its directory. */
  directory: string;
  /** PEM: who signs the authority's own HTTPS. Default: as everything else. */
  ca?: string[] | undefined;
  /** External account binding, where the authority wants one. */
  binding?: { keyId: string; hmacKey: string } | undefined;
}

export interface AcmeOrder {
  authority: AcmeAuthority;
  /** PEM. */
  accountKey: string;
  /** Who hears of problems. */
  email?: string | undefined;
  /** DNS names. */
  names: readonly string[];
  /** Environment: proxies, and whom to trust. */
  vars: Record<string, string | undefined>;
  /** Show this certificate to whoever asks for the name with ALPN `acme-tls/1`; undefined: show none from now on. */
  answer: (name: string, certificate: { certPem: string; keyPem: string } | undefined) => void;
  /** Gives the order up. */
  signal: AbortSignal;
}

export interface AcmeCertificate {
  /** Leaf first. */
  certPem: string;
  keyPem: string;
}

/** The library's types know the older ones only. */
const CHALLENGE: string = 'tls-alpn-01';
const DIAL_MS = 30_000;
/** For an order as a whole: the authority looks from several places, one after the other. */
const ORDER_MS = 300_000;

/** PEM. */
export async function newAccountKey(): Promise<string> {
  const { crypto } = await import('./library/client.js');
  return (await crypto.createPrivateEcdsaKey()).toString();
}

/** @throws TeleportError in the authority's words, or with the signal's reason as its cause */
export async function issueCertificate(order: AcmeOrder): Promise<AcmeCertificate> {
  const { authority, names, email, vars, answer, signal } = order;
  const { axios, Client, crypto } = await import('./library/client.js');
  const agent = new DialAgent({ vars, timeoutMs: DIAL_MS, ca: authority.ca });
  Object.assign(axios.defaults, { httpsAgent: agent, proxy: false, timeout: DIAL_MS, signal });
  Object.assign((axios.defaults as { acmeSettings?: object }).acmeSettings ?? {}, { retryMaxAttempts: 0 });
  const client = new Client({
    directoryUrl: authority.directory,
    accountKey: order.accountKey,
    ...(authority.binding
      ? { externalAccountBinding: { kid: authority.binding.keyId, hmacKey: authority.binding.hmacKey } }
      : {}),
  });
  try {
    const key = await crypto.createPrivateEcdsaKey();
    const [, csr] = await crypto.createCsr({ commonName: names[0]!, altNames: [...names] }, key);
    const issuing = client.auto({
      csr,
      ...(email ? { email } : {}),
      termsOfServiceAgreed: true,
      challengePriority: [CHALLENGE],
      // It would dial us from here, by a way that is not the authority's.
      skipChallengeVerification: true,
      challengeCreateFn: async (authorization, challenge, proof) => {
        const name = authorization.identifier.value;
        if (challenge.type !== CHALLENGE) {
          throw new TeleportError('AccessDenied', `the authority does not offer ${CHALLENGE} for ${name}`);
        }
        const [keyPem, certPem] = await crypto.createAlpnCertificate(authorization, proof);
        answer(name, { certPem: certPem.toString(), keyPem: keyPem.toString() });
      },
      challengeRemoveFn: async ({ identifier }) => answer(identifier.value, undefined),
    });
    const late = () => new TeleportError('ConnectionProblem', `the order was not done after ${inSeconds(ORDER_MS)}`);
    const certPem = await inTime(issuing, ORDER_MS, late, signal);
    return { certPem, keyPem: key.toString() };
  } catch (cause) {
    if (cause instanceof TeleportError) throw cause;
    throw new TeleportError('ConnectionProblem', messageOf(cause), { cause });
  } finally {
    for (const name of names) answer(name, undefined);
    agent.destroy();
  }
}
