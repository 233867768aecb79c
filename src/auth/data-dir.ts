/**
 * What the Auth Service keeps in its data directory (0700, files 0600):
 *
 *     host_uuid              id of this host, shared with the other services of the process
 *     backend/auth.db        the store
 *     log/2026-11-21.log     the audit log
 *     admin-identity.json    the local administrator's certificate, for tctl on this host
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostIdentity } from '../api/host-identity.js';

export interface DataDir {
  store: string;
  auditLog: string;
  /** The host id of the file; made when there is none. */
  hostId(): string;
  writeAdminIdentity(identity: HostIdentity): void;
}

export function openDataDir(path: string): DataDir {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  const uuidFile = join(path, 'host_uuid');
  return {
    store: join(path, 'backend', 'auth.db'),
    auditLog: join(path, 'log'),
    hostId() {
      try {
        const known = readFileSync(uuidFile, 'utf8').trim();
        if (known !== '') return known;
      } catch {
        // Made below.
      }
      const made = randomUUID();
      replace(uuidFile, made);
      return made;
    },
    writeAdminIdentity: (identity) => replace(join(path, 'admin-identity.json'), JSON.stringify(identity)),
  };
}

/** Whole or not at all: a reader never meets half a file. */
function replace(path: string, text: string): void {
  const next = `${path}.${process.pid}.new`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}
