/**
 * What the Auth Service keeps in its data directory (0700, files 0600):
 *
 *     host_uuid              id of this host, shared with the other services of the process
 *     backend/auth.db        the store
 *     log/2026-11-21.log     the audit log
 *     audit.key, audit.head  the key that signs it, and the last checkpoint
 *     admin-identity.json    the local administrator's certificate, for tctl on this host
 */
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HostIdentity } from '../api/host-identity.js';
import { isDiskFull, messageOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { hostId, writeStateFile } from '../store/state-files.js';

export interface DataDir {
  store: string;
  auditLog: string;
  auditKey: string;
  auditHead: string;
  /** The host id of the file; made when there is none. */
  hostId(): Promise<string>;
  /** True when there is a store; false when the folder may become a new cluster. @throws NotFound when one is missing */
  hasStore(): boolean;
  writeAdminIdentity(identity: HostIdentity): Promise<void>;
}

export const auditLogIn = (dataDir: string): string => join(dataDir, 'log');

/** @throws TeleportError `BadParameter` when the folder cannot be used, `LimitExceeded` on a full disk */
export async function openDataDir(path: string): Promise<DataDir> {
  try {
    await makeFolders(path, 0o700);
    chmodSync(path, 0o700);
  } catch (cause) {
    const code = isDiskFull(cause) ? 'LimitExceeded' : 'BadParameter';
    throw new TeleportError(code, `cannot use the data folder ${path}: ${messageOf(cause)}`, { cause });
  }
  const store = join(path, 'backend', 'auth.db');
  return {
    store,
    auditLog: auditLogIn(path),
    auditKey: join(path, 'audit.key'),
    auditHead: join(path, 'audit.head'),
    hostId: () => hostId(path),
    hasStore() {
      if (existsSync(store)) return true;
      const traces = tracesOfCluster(path);
      if (traces.length === 0) return false;
      throw new TeleportError(
        'NotFound',
        `the store ${store} is missing, but ${path} belongs to a cluster: ${traces.join(', ')}`,
        {
          hint: `Put ${store} back from a backup. To begin a new cluster instead, use an empty data_dir.`,
        },
      );
    },
    writeAdminIdentity: (identity) => writeStateFile(join(path, 'admin-identity.json'), JSON.stringify(identity)),
  };
}

/** What only a cluster, or a host that has joined one, leaves in its folder. */
const TRACES: Record<string, RegExp> = {
  backend: /^auth\.db-/,
  log: /^\d{4}-\d{2}-\d{2}\.log$/,
  '.': /^(admin-identity\.json|identity-\w+\.json|audit-spool)$/,
};

function tracesOfCluster(path: string): string[] {
  return Object.entries(TRACES).flatMap(([folder, pattern]) => {
    const names = existsSync(join(path, folder)) ? readdirSync(join(path, folder)) : [];
    return names
      .filter((name) => pattern.test(name))
      .sort()
      .slice(0, 3)
      .map((name) => join(folder, name));
  });
}
