/**
 * The trust and the key of outgoing TLS connections as OpenSSL's contexts. A context with the authorities of the web takes
 * some 30 ms and 1 MB, so equal ones are made once for each process, however many connections there are.
 */

import { createHash } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { TeleportError } from '../errors.js';
import { splitPem } from '../pki/pem.js';
import { webRoots } from './roots.js';

interface Own {
  cert?: string;
  key?: string;
  /** Default true. False: no authority is looked up, for nobody asks them. */
  rejectUnauthorized?: boolean;
}

/** Trust in these authorities alone, PEM texts. */
interface OwnTrust {
  ca: string | readonly string[];
  systemRoots?: false;
}

/** Trust in the authorities of the web, as this environment names them, beside others or alone (`webRoots`). */
export interface WebTrust {
  ca?: string | readonly string[];
  /** With `ca`: trust the web's authorities as well. */
  systemRoots?: boolean;
  vars: Record<string, string | undefined>;
}

export type TrustOptions = Own & (OwnTrust | WebTrust);

/** A daemon makes a key for each database user; those that were not used for the longest time go. Our own limit. */
const MOST_CONTEXTS = 32;

/** Oldest use first. Keys are digests: nobody finds a private key in them. */
const contexts = new Map<string, SecureContext>();

/** @throws TeleportError `BadParameter` for authorities, a certificate or a key that cannot be used */
export function secureContextFor(options: TrustOptions): SecureContext {
  const { cert, key } = options;
  const own = options.ca === undefined ? [] : typeof options.ca === 'string' ? [options.ca] : options.ca;
  const isChecked = options.rejectUnauthorized ?? true;
  const web = isChecked && trustsWeb(options) ? webRoots(options.vars) : undefined;
  const digest = createHash('sha256');
  for (const part of [web?.id, cert, key, ...own]) digest.update(`${part?.length ?? '-'}:${part ?? ''}`);
  const id = digest.digest('base64');
  const context = contexts.get(id) ?? makeContext([...own.flatMap(certificatesOf), ...(web?.pems ?? [])], cert, key);
  contexts.delete(id);
  contexts.set(id, context);
  const [oldest] = contexts.keys();
  if (contexts.size > MOST_CONTEXTS) contexts.delete(oldest!);
  return context;
}

function trustsWeb(options: TrustOptions): options is Own & WebTrust {
  return options.ca === undefined || options.systemRoots === true;
}

function makeContext(ca: string[], cert: string | undefined, key: string | undefined): SecureContext {
  return createSecureContext({
    // One after the other: OpenSSL stops reading a text at the first that it cannot use.
    ca,
    // An intermediate authority that was put into a store is trusted by curl and Go, too. Node from 20.18 and 22.9 on.
    allowPartialTrustChain: true,
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    minVersion: 'TLSv1.2',
  });
}

function certificatesOf(pem: string): string[] {
  const found = splitPem(pem, 'CERTIFICATE');
  // OpenSSL would take it without a word, and the server would be blamed.
  if (found.length === 0)
    throw new TeleportError('BadParameter', 'there is no certificate among the trusted authorities');
  return found;
}
