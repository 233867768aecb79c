/**
 * Reads the Proxy's key pair again: at an interval (`https_keypairs_reload_interval`) and when asked (SIGHUP). A pair that
 * cannot be used changes nothing and is said in the log.
 */
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';

export interface Keypair {
  certPem: string;
  keyPem: string;
}

export interface CertificateReload {
  /** Look now. Never rejects. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

export interface CertificateReloadOptions {
  /** What is shown now. */
  shown: Keypair;
  /** @throws for files that are missing, broken or do not fit together */
  read: () => Promise<Keypair>;
  /** Show another one. @throws when TLS cannot use it */
  apply: (pair: Keypair) => void;
  /** 0: only when asked. */
  intervalMs: number;
  log: Logger;
}

export function startCertificateReload(options: CertificateReloadOptions): CertificateReload {
  const { read, apply, intervalMs, log } = options;
  let { shown } = options;
  let closed = false;
  let last: Promise<void> = Promise.resolve();
  const look = async () => {
    try {
      const next = await read();
      if (closed || (next.certPem === shown.certPem && next.keyPem === shown.keyPem)) return;
      apply(next);
      shown = next;
      log.info('The web certificate was replaced.');
    } catch (error) {
      log.warn('Cannot use the new web certificate, keeping the old one.', { error: messageOf(error) });
    }
  };
  // One after the other: an older reading must not win over a newer one.
  const reload = () => {
    last = last.then(look);
    return last;
  };
  const timer = intervalMs > 0 ? setInterval(() => void reload(), intervalMs) : undefined;
  timer?.unref();
  return {
    reload,
    async close() {
      closed = true;
      clearInterval(timer);
      await last;
    },
  };
}
