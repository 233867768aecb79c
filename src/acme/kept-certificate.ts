/**
 * The Proxy's certificate from an ACME authority: kept in the data folder, where a restart finds it, and renewed when two
 * thirds of its life are over. While a new one cannot be had the old one stays, the log says why, and the pauses grow.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { messageOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import type { Logger } from '../log.js';
import { decodePem } from '../pki/pem.js';
import { readCertificate } from '../pki/x509.js';
import { Renewal } from '../renewal.js';
import { readStateFile, writeStateFile } from '../store/state-files.js';
import { type AcmeCertificate, type AcmeOrder, issueCertificate, newAccountKey } from './issue.js';

export interface KeptCertificateOptions extends Omit<AcmeOrder, 'accountKey' | 'answer' | 'signal'> {
  /** Folder of the account's key and of the certificate. */
  dir: string;
  now: () => Date;
  log: Logger;
}

/** The server that is reached under the names. */
export interface NamedServer {
  answerChallenge: AcmeOrder['answer'];
  /** Show this certificate from now on. */
  setWebCertificate(certificate: AcmeCertificate): void;
}

/** Four attempts that fail in the first hour: Let's Encrypt takes five for a name. */
const RETRY_MS = 900_000;

export class KeptCertificate {
  /** What is kept, for these names and not over; undefined: none yet. */
  current: AcmeCertificate | undefined;
  readonly #options: KeptCertificateOptions;
  #renewal: Renewal | undefined;
  #isFailing = false;
  readonly #stop = new AbortController();

  private constructor(options: KeptCertificateOptions, current: AcmeCertificate | undefined) {
    this.#options = options;
    this.current = current;
  }

  static async open(options: KeptCertificateOptions): Promise<KeptCertificate> {
    const file = fileIn(options.dir);
    const text = await readStateFile(file);
    try {
      const kept = text === undefined ? undefined : certificateIn(text);
      return new KeptCertificate(options, kept && fits(kept, options) ? kept : undefined);
    } catch (error) {
      const fields = { file, error: messageOf(error) };
      options.log.warn('The certificate that was kept cannot be used; a new one is fetched.', fields);
      return new KeptCertificate(options, undefined);
    }
  }

  /** Whether the last attempt to get a certificate failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** When what is shown ends, in seconds since 1970; 0 without one. */
  get endsAt(): number {
    return this.current ? readCertificate(this.current.certPem).notAfter.getTime() / 1000 : 0;
  }

  /** The names can be asked about from now on: get a certificate where there is none, and renew it in time. */
  begin(at: NamedServer): void {
    const { names, now, log } = this.#options;
    this.#renewal = new Renewal({
      what: `the certificate for ${names.join(', ')}`,
      dueAt: () => this.#dueAt(),
      renew: () => this.#issue(at),
      now,
      log,
      everyMs: RETRY_MS,
    });
    this.#renewal.hurry();
  }

  async close(): Promise<void> {
    const ended = this.#renewal?.close();
    this.#stop.abort();
    await ended;
  }

  #dueAt(): Date {
    if (!this.current) return new Date(0);
    const { notBefore, notAfter } = readCertificate(this.current.certPem);
    return new Date(notBefore.getTime() + (2 / 3) * (notAfter.getTime() - notBefore.getTime()));
  }

  async #issue(at: NamedServer): Promise<void> {
    const { dir, authority, names } = this.#options;
    try {
      const accountKey = await this.#accountKey();
      const answer: AcmeOrder['answer'] = (...to) => at.answerChallenge(...to);
      const issued = await issueCertificate({ ...this.#options, accountKey, answer, signal: this.#stop.signal });
      // One file, so that key and certificate fit whatever happens.
      await writeStateFile(fileIn(dir), `${issued.keyPem.trimEnd()}\n${issued.certPem}`);
      at.setWebCertificate(issued);
      this.current = issued;
      this.#isFailing = false;
    } catch (cause) {
      this.#isFailing = true;
      throw new TeleportError(
        'ConnectionProblem',
        `no certificate from ${authority.directory}: ${messageOf(cause)}. It dials port 443 of ${names.join(', ')}: that must lead to this Proxy without anything in between that ends TLS.`,
        { cause },
      );
    }
  }

  async #accountKey(): Promise<string> {
    const { dir } = this.#options;
    await makeFolders(dir, 0o700);
    const file = join(dir, 'account.key');
    const known = await readStateFile(file);
    if (known !== undefined) return known;
    const made = await newAccountKey();
    await writeStateFile(file, made);
    return made;
  }
}

const fileIn = (dir: string) => join(dir, 'certificate.pem');

/** @throws for a file that is damaged */
function certificateIn(text: string): AcmeCertificate {
  const blocks = decodePem(text);
  const pemsOf = (end: string) => blocks.filter(({ type }) => type.endsWith(end)).map(({ pem }) => pem);
  const [[keyPem], [leaf, ...others]] = [pemsOf('PRIVATE KEY'), pemsOf('CERTIFICATE')];
  if (keyPem === undefined || leaf === undefined) throw new Error('a key and a certificate are expected');
  if (!new X509Certificate(leaf).checkPrivateKey(createPrivateKey(keyPem))) {
    throw new Error('the key is not that of the certificate');
  }
  return { keyPem, certPem: [leaf, ...others].join('') };
}

function fits({ certPem }: AcmeCertificate, { names, now }: KeptCertificateOptions): boolean {
  const shown = new X509Certificate(certPem);
  return readCertificate(certPem).notAfter > now() && names.every((name) => shown.checkHost(name) !== undefined);
}
