/** `kind/name` as people type it for `tctl get`, `rm` and `edit`. Source: Teleport 18.3.0 (cli.md 6.3). */
import { TeleportError } from '../errors.js';
import { SETTINGS_NAMES, type SettingsKind } from './cluster-settings.js';
import type { Kind } from './types.js';

export interface ResourceRef {
  kind: Kind;
  subKind?: string;
  name?: string;
}

/**
 * Kinds that people write, in an order in which `tctl create` can make them: a user needs its roles, a role map too, and a
 * lock may hit whoever makes the others.
 */
export const EDITABLE: ReadonlySet<Kind> = new Set([
  'role',
  'user',
  'db',
  'token',
  'trusted_cluster',
  ...(Object.keys(SETTINGS_NAMES) as SettingsKind[]),
  'lock',
]);

const WORDS: Record<string, Kind> = {
  user: 'user',
  users: 'user',
  role: 'role',
  roles: 'role',
  db: 'db',
  db_server: 'db_server',
  db_servers: 'db_server',
  token: 'token',
  tokens: 'token',
  lock: 'lock',
  locks: 'lock',
  trusted_cluster: 'trusted_cluster',
  tc: 'trusted_cluster',
  cluster: 'trusted_cluster',
  clusters: 'trusted_cluster',
  remote_cluster: 'remote_cluster',
  remote_clusters: 'remote_cluster',
  rc: 'remote_cluster',
  rcs: 'remote_cluster',
  cert_authority: 'cert_authority',
  cert_authorities: 'cert_authority',
  cas: 'cert_authority',
  cluster_auth_preference: 'cluster_auth_preference',
  cluster_authentication_preferences: 'cluster_auth_preference',
  cap: 'cluster_auth_preference',
  cluster_networking_config: 'cluster_networking_config',
  networking_config: 'cluster_networking_config',
  networking: 'cluster_networking_config',
  net_config: 'cluster_networking_config',
  netconfig: 'cluster_networking_config',
  session_recording_config: 'session_recording_config',
  recording_config: 'session_recording_config',
  session_recording: 'session_recording_config',
  rec_config: 'session_recording_config',
  recconfig: 'session_recording_config',
};

/** The kind that a word means, in singular or plural, or undefined. */
export function kindOfWord(word: string): Kind | undefined {
  const lower = word.toLowerCase();
  return Object.hasOwn(WORDS, lower) ? WORDS[lower] : undefined;
}

/** @throws TeleportError `BadParameter` in Teleport's words */
export function parseRef(text: string): ResourceRef {
  const parts = text.split('/');
  if (text === '') throw bad('missing resource name');
  if (parts.length > 3) throw bad(`failed to parse '${text}'`);
  const kind = kindOfWord(parts[0]!);
  if (kind === undefined) {
    throw bad(
      `unsupported resource: ${JSON.stringify(parts[0])} - resources should be expressed as 'type/name', for example 'connector/github'`,
    );
  }
  if (parts.length === 1) return { kind };
  if (parts.length === 2) return { kind, name: parts[1]! };
  return { kind, subKind: parts[1]!, name: parts[2]! };
}

/** A comma list of them; `all` is every kind that people write, so that `tctl create -f` takes it back. */
export function parseRefs(text: string): ResourceRef[] {
  if (text === 'all') return [...EDITABLE].map((kind) => ({ kind }));
  return text.split(',').map((one) => parseRef(one.trim()));
}

/** `role/dba`, as messages name it. */
export function refText({ kind, subKind, name }: ResourceRef): string {
  return [kind, subKind, name].filter((part) => part !== undefined).join('/');
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
