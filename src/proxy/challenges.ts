/**
 * Questions of an ACME authority, TLS-ALPN-01: whoever dials with ALPN `acme-tls/1` alone sees the certificate that says the answer
 * for the name, and nothing else. Source: RFC 8737.
 */
import type { Duplex } from 'node:stream';
import { ALPN } from '../api/alpn.js';
import { createTerminator } from './terminator.js';

export interface ChallengeAnswer {
  certPem: string;
  keyPem: string;
}

export class Challenges {
  readonly #answers = new Map<string, ChallengeAnswer>();

  /** @param certificate  undefined: nobody asks any more */
  answer(name: string, certificate: ChallengeAnswer | undefined): void {
    if (certificate) this.#answers.set(name.toLowerCase(), certificate);
    else this.#answers.delete(name.toLowerCase());
  }

  /** One handshake, and the end. @returns undefined for a name that nobody asks about: the connection is as it was */
  serve(connection: Duplex, name: string): Promise<void> | undefined {
    const answer = this.#answers.get(name.toLowerCase());
    return answer && show(connection, answer);
  }
}

async function show(connection: Duplex, answer: ChallengeAnswer): Promise<void> {
  const identity = { cert: answer.certPem, key: answer.keyPem };
  const terminator = createTerminator({ identity, alpn: [ALPN.acme], requestCert: false });
  try {
    (await terminator.accept(connection)).end();
  } finally {
    connection.once('close', () => terminator.close());
  }
}
