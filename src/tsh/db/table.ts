/**
 * Databases as rows of `tsh db ls` and of the list of candidates in an error.
 *
 * Source: cli.md 4.1.
 */

import type { AccessibleDatabase, ActiveDatabase, AllowedNames } from '../../access/access.js';
import { labelsText, type Table } from '../../cli/output.js';
import { databaseType } from '../../resources/database-type.js';
import { DISCOVERED_NAME_LABEL } from '../../resources/labels.js';

export interface ListedDatabase extends AccessibleDatabase {
  active?: ActiveDatabase | undefined;
  /** `--all` only. */
  proxy?: string;
  cluster?: string;
  /** What the suggested command needs to find it: `--cluster=…`. */
  flags?: readonly string[];
}

/** With `verbose` nothing is cut. */
export function databaseTable(
  databases: readonly ListedDatabase[],
  options: { verbose: boolean; all?: boolean },
): Table {
  const { verbose, all = false } = options;
  const place = all ? ['Proxy', 'Cluster'] : [];
  const titles = verbose
    ? [
        ...place,
        'Name',
        'Description',
        'Protocol',
        'Type',
        'URI',
        'Allowed Users',
        'Database Roles',
        'Labels',
        'Connect',
      ]
    : [...place, 'Name', 'Description', 'Allowed Users', 'Labels', 'Connect'];
  const rows = databases.map((listed) => {
    const { metadata, spec } = listed.database;
    const where = all ? [listed.proxy ?? '', listed.cluster ?? ''] : [];
    const head = [...where, nameCell(listed, verbose), metadata.description ?? ''];
    const labels = labelsText(metadata.labels ?? {}, { verbose });
    const connect = listed.active ? connectCommand(listed.active, listed.flags) : '';
    const users = usersCell(listed.users);
    return verbose
      ? [...head, spec.protocol, databaseType(listed.database), spec.uri, users, rolesCell(listed), labels, connect]
      : [...head, users, labels, connect];
  });
  const cut = ['Labels', 'Description', 'Allowed Users', 'Proxy', 'Cluster'];
  return { titles, rows, cut, copied: ['Connect'], isWhole: verbose };
}

/** `> name (user: u, db: d, roles: [r])` for a database the person is logged into. */
function nameCell({ database, active }: ListedDatabase, verbose: boolean): string {
  const name = (!verbose && database.metadata.labels?.[DISCOVERED_NAME_LABEL]) || database.metadata.name;
  if (!active) return name;
  const parts = [
    active.dbUser ? `user: ${active.dbUser}` : '',
    active.dbName ? `db: ${active.dbName}` : '',
    active.dbRoles.length > 0 ? `roles: [${active.dbRoles.join(' ')}]` : '',
  ].filter((part) => part !== '');
  return parts.length > 0 ? `> ${name} (${parts.join(', ')})` : `> ${name}`;
}

export function usersCell({ allowed, denied, autoProvisioned, unknown, refused }: AllowedNames): string {
  if (unknown) return '(unknown)';
  if (autoProvisioned) return `[${allowed.join(' ')}] (Auto-provisioned)`;
  if (refused !== undefined) return `(none: ${refused})`;
  if (allowed.length === 0) return '(none)';
  const list = `[${[...allowed].sort().join(' ')}]`;
  return allowed.includes('*') && denied.length > 0 ? `${list}, except: [${[...denied].sort().join(' ')}]` : list;
}

function rolesCell({ users, dbRoles }: ListedDatabase): string {
  return users.autoProvisioned ? `[${dbRoles.join(' ')}]` : '';
}

/** The command that connects with what is stored; what is not stored stays a placeholder. */
function connectCommand(active: ActiveDatabase, flags: readonly string[] = []): string {
  return [
    'tsh db connect',
    ...flags.map((flag) => ` ${flag}`),
    active.dbUser || active.isUserOptional ? '' : ' --db-user=<user>',
    active.dbName ? '' : ' --db-name=<name>',
    ` ${active.name}`,
  ].join('');
}
