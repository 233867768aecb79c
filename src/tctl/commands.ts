/** The command table of `tctl`: what is typed, what the help says, which file does it. Spec: cli.md 5 and 6. */
import { command, group, type OptionSpec, type ProgramSpec } from '../cli/command.js';
import { VERSION } from '../version.js';
import { AUTHORITY_TYPES, FORMAT, GLOBALS, traitOptions } from './flags.js';

const HOUR_MS = 3_600_000;
const RESOURCE = { resource: { description: 'One resource, kind/name, for example role/dba.' } };
const TEXT_OR_JSON: OptionSpec = {
  name: 'format',
  default: 'text',
  hidden: true,
  description: "Output format: 'text' or 'json'.",
};
/** A form that every later script can rely on: other words are refused. */
const LINES_OR_JSON: OptionSpec = { ...TEXT_OR_JSON, kind: 'enum', values: ['text', 'json'], hidden: false };
const WITH_SECRETS: OptionSpec = { name: 'with-secrets', kind: 'boolean', description: 'Show secrets in full.' };
const VERBOSE: OptionSpec = { name: 'verbose', short: 'v', kind: 'boolean', description: 'Show more.' };

/** Which records. @param from  of `--from` */
function auditFilter(from: string, usual?: string): OptionSpec[] {
  return [
    { name: 'from', description: from, ...(usual ? { default: usual } : {}) },
    { name: 'to', description: 'Where to end, in the same forms; default is now.' },
    { name: 'user', description: 'Only what this user did.' },
    { name: 'database', description: 'Only what happened in this database.' },
    {
      name: 'kind',
      kind: 'list',
      description: "Comma-separated names of events; 'db.session.*' means all that begin so.",
    },
  ];
}

export const program: ProgramSpec = {
  name: 'tctl',
  version: VERSION,
  description: 'Admin tool for the Teleport Access Platform: users, roles, databases and invitations of a cluster.',
  globals: GLOBALS,
  commands: [
    command({
      path: 'status',
      summary: 'Report the cluster, its CA pins and its authorities.',
      examples: ['tctl status', "tctl status | awk '/^CA pins:/{print $3}'"],
      load: () => import('./status.js'),
    }),

    group({ path: 'users', summary: 'Manage user accounts.' }),
    command({
      path: 'users add <account>',
      summary: 'Create a local user and a link with which the person sets a password.',
      options: [
        { name: 'roles', kind: 'list', required: true, description: 'Comma-separated roles for the new user.' },
        ...traitOptions(''),
        {
          name: 'ttl',
          kind: 'duration',
          default: HOUR_MS,
          description: 'How long the link is valid, default is 1h0m0s, maximum is 48h0m0s.',
        },
        TEXT_OR_JSON,
      ],
      arguments: { account: { description: 'Name of the new user.' } },
      examples: [
        'tctl users add --roles=access alice',
        'tctl users add alice --roles=access,dba --db-users=analyst --db-names=dev',
      ],
      load: () => import('./users/add.js'),
    }),
    command({
      path: 'users ls',
      summary: 'List all user accounts.',
      options: [TEXT_OR_JSON],
      examples: ['tctl users ls'],
      load: () => import('./users/ls.js'),
    }),
    command({
      path: 'users update <account>',
      summary: 'Replace roles or traits of a user.',
      options: [
        { name: 'set-roles', kind: 'list', description: "Replace the user's roles: a comma-separated list." },
        ...traitOptions('set-'),
      ],
      arguments: { account: { description: 'Name of the user.' } },
      examples: ['tctl users update alice --set-roles=access,dba', 'tctl users update alice --set-db-users=analyst'],
      load: () => import('./users/update.js'),
    }),
    command({
      path: 'users rm <logins>',
      aliases: ['users del'],
      summary: 'Delete user accounts.',
      arguments: { logins: { description: 'Comma-separated names of users.' } },
      examples: ['tctl users rm alice', 'tctl users rm alice,bob'],
      load: () => import('./users/rm.js'),
    }),
    command({
      path: 'users reset <account>',
      summary: 'Forget the password of a user and give a link to set a new one.',
      options: [
        {
          name: 'ttl',
          kind: 'duration',
          default: 8 * HOUR_MS,
          description: 'How long the link is valid, default is 8h0m0s, maximum is 24h0m0s.',
        },
        TEXT_OR_JSON,
      ],
      arguments: { account: { description: 'Name of the user.' } },
      examples: ['tctl users reset alice'],
      load: () => import('./users/reset.js'),
    }),

    group({ path: 'tokens', summary: 'Manage invitations for agents.' }),
    command({
      path: 'tokens add',
      summary: 'Create an invitation token.',
      options: [
        {
          name: 'type',
          kind: 'list',
          required: true,
          description: 'What may join with it, for example db, proxy or trusted_cluster.',
        },
        { name: 'value', description: 'The token, instead of a random one.' },
        { name: 'labels', description: 'Labels of the token, for example env=prod,region=us-west.' },
        {
          name: 'ttl',
          kind: 'duration',
          default: HOUR_MS / 2,
          description: 'How long the token is valid, default is 30 minutes.',
        },
        {
          name: 'databases',
          kind: 'list',
          description: 'Names of databases that an agent may offer who joins with it, for example sales,dev-*.',
        },
        { name: 'db-labels', description: 'Labels that these databases must have, for example env=dev.' },
        { name: 'db-name', description: 'Name of the database, for the text that is printed.' },
        { name: 'db-protocol', description: 'Protocol of the database, for the text that is printed.' },
        { name: 'db-uri', description: 'Address of the database, for the text that is printed.' },
        { name: 'app-name', description: 'Accepted; there are no applications.', hidden: true },
        { name: 'app-uri', description: 'Accepted; there are no applications.', hidden: true },
        FORMAT,
      ],
      examples: [
        'tctl tokens add --type=db',
        '(umask 077; tctl tokens add --type=db --format=text > token)',
        'tctl tokens add --type=db --databases=sales --db-labels=env=prod',
        'tctl tokens add --type=trusted_cluster --ttl=30m',
      ],
      load: () => import('./tokens/add.js'),
    }),
    command({
      path: 'tokens ls',
      summary: 'List the invitations.',
      options: [
        FORMAT,
        WITH_SECRETS,
        { name: 'labels', description: 'Labels to filter by: comma-separated key=value pairs.' },
      ],
      examples: ['tctl tokens ls', 'tctl tokens ls --with-secrets'],
      load: () => import('./tokens/ls.js'),
    }),
    command({
      path: 'tokens rm [token]',
      aliases: ['tokens del'],
      summary: 'Revoke an invitation.',
      arguments: { token: { description: 'The token.' } },
      examples: ['tctl tokens rm 0123456789abcdef0123456789abcdef'],
      load: () => import('./tokens/rm.js'),
    }),

    command({
      path: 'get <resources>',
      summary: 'Print resources as YAML, JSON or a table.',
      description:
        'Kinds: role, user, db, token, trusted_cluster, cluster_auth_preference, cluster_networking_config, session_recording_config, lock; db_server, remote_cluster, cert_authority. "all" is those that "tctl create -f" takes back.',
      options: [
        { name: 'format', default: 'yaml', description: "Output format: 'yaml', 'json' or 'text'." },
        WITH_SECRETS,
        VERBOSE,
      ],
      arguments: { resources: { description: 'Comma-separated kind or kind/name.' } },
      examples: [
        'tctl get users/alice > alice.yaml',
        'tctl get all > cluster.yaml',
        "tctl get roles --format=json | jq -r '.[].metadata.name'",
      ],
      load: () => import('./get.js'),
    }),
    command({
      path: 'create [file]',
      summary: 'Create resources from a file or standard input.',
      description: 'YAML with one or several documents, or JSON. Stops at the first error.',
      options: [
        { name: 'force', short: 'f', kind: 'boolean', description: 'Overwrite what exists.' },
        {
          name: 'confirm',
          kind: 'boolean',
          hidden: true,
          description: 'Write settings that stand in the configuration file too.',
        },
      ],
      arguments: { file: { description: 'File with the resources; standard input without it.' } },
      examples: ['tctl create -f role.yaml', 'tctl create alice.yaml -f', 'tctl get role/dba | tctl create -f'],
      load: () => import('./create.js'),
    }),
    command({
      path: 'rm <resource>',
      aliases: ['del'],
      summary: 'Delete a resource, or reset a setting of the cluster.',
      arguments: RESOURCE,
      examples: [
        'tctl rm role/dba',
        'tctl rm db/sales',
        'tctl rm cluster_auth_preference',
        'tctl rm remote_cluster/leaf.example.com',
      ],
      load: () => import('./rm.js'),
    }),
    command({
      path: 'edit <resource>',
      summary: 'Change a resource in a text editor.',
      description: 'The editor is TELEPORT_EDITOR, VISUAL or EDITOR, else vi.',
      arguments: RESOURCE,
      examples: ['tctl edit role/dba', 'tctl edit cluster_auth_preference', 'EDITOR=nano tctl edit user/alice'],
      load: () => import('./edit.js'),
    }),

    group({ path: 'db', summary: 'Databases of the cluster.' }),
    command({
      path: 'db ls [labels]',
      summary: 'List databases, one line for each agent that serves one.',
      options: [
        { name: 'search', description: 'Comma-separated words that must all be found.' },
        { name: 'query', description: 'Predicate to filter by, for example: labels["env"] == "dev"' },
        VERBOSE,
        { name: 'format', default: 'text', description: "Output format: 'text', 'json' or 'yaml'." },
      ],
      arguments: { labels: { description: 'Labels to filter by: comma-separated key=value pairs.' } },
      examples: ['tctl db ls', 'tctl db ls env=prod --format=json'],
      load: () => import('./db/ls.js'),
    }),

    group({ path: 'discovery', summary: 'Databases that services find in AWS.' }),
    command({
      path: 'discovery ls',
      summary: 'Show when each search in AWS last ran, what it found and what failed.',
      description:
        'One row for each type, region and matcher of each Discovery Service (discovery_service.aws) and of each agent that looks for itself (db_service.aws). Databases stay as they are while a search fails. Needs "list" and "read" on "discovery_config", as the role editor has.',
      options: [LINES_OR_JSON],
      examples: [
        'tctl discovery ls',
        "tctl discovery ls --format=json | jq -r '.[] | select(.failures != []) | .region'",
      ],
      load: () => import('./discovery/ls.js'),
    }),

    command({
      path: 'lock',
      summary: 'Keep a user, a role or something else out, also in running sessions.',
      description:
        'A name that does not exist is an error, unless you say --force. List locks with "tctl get locks", remove one with "tctl rm lock/NAME".',
      options: [
        { name: 'user', description: 'Name of a user.' },
        { name: 'role', description: 'Name of a role.' },
        { name: 'login', description: 'Name of a login.' },
        { name: 'mfa-device', description: 'UUID of an MFA device.' },
        { name: 'windows-desktop', description: 'Name of a Windows desktop.' },
        { name: 'access-request', description: 'UUID of an access request.' },
        { name: 'device', description: 'UUID of a trusted device.' },
        { name: 'server-id', description: 'UUID of a Teleport server.' },
        { name: 'bot-instance-id', description: 'UUID of a bot instance.' },
        { name: 'join-token', description: 'Name of a join token.' },
        { name: 'message', description: 'Message that the locked-out user sees.' },
        { name: 'expires', description: 'Time (RFC 3339) at which the lock ends.' },
        { name: 'ttl', kind: 'duration', description: 'After how long the lock ends.' },
        { name: 'force', kind: 'boolean', description: 'Lock it even if there is no such thing.' },
      ],
      examples: ['tctl lock --user=alice --ttl=24h', 'tctl lock --role=dba --message="Maintenance until Monday."'],
      load: () => import('./lock.js'),
    }),

    group({ path: 'access', summary: 'Who may enter which database, and why.' }),
    command({
      path: 'access why <user> <db>',
      summary: 'Say whether a user may enter a database, and why.',
      description:
        'Shows which block of which role decides, and the smallest change that would let the user in. The exit status is 0 when access is allowed and 1 when it is refused. Needs "read" on "user" and "role", as the role editor has.',
      options: [
        { name: 'db-user', short: 'u', description: 'Database user; without it: is there any?' },
        { name: 'db-name', short: 'n', description: 'Database name; without it: is there any?' },
        {
          name: 'db-roles',
          short: 'r',
          kind: 'list',
          description: 'Comma-separated database roles of an automatic user.',
        },
        LINES_OR_JSON,
      ],
      arguments: {
        user: { description: 'Name of the user.' },
        db: { description: 'Name of the database, as "tctl db ls" shows it.' },
      },
      examples: [
        'tctl access why alice sales --db-user=writer --db-name=dev',
        'tctl access why alice sales --db-roles=reader,writer --db-name=dev',
        "tctl access why alice sales --format=json | jq -r '.changes[].command'",
      ],
      load: () => import('./access/why.js'),
    }),
    command({
      path: 'access ls <user>',
      summary: 'List the databases that a user may enter.',
      description:
        'One row for each role that lets the user in: what two roles give does not add up. Locks are not looked at. Needs "list" and "read" on "user" and "role".',
      options: [LINES_OR_JSON],
      arguments: { user: { description: 'Name of the user.' } },
      examples: ['tctl access ls alice'],
      load: () => import('./access/ls.js'),
    }),
    command({
      path: 'access who <db>',
      summary: 'List the users who may enter a database.',
      description: 'One row for each role that lets a user in. Needs "list" and "read" on "user" and "role".',
      options: [LINES_OR_JSON],
      arguments: { db: { description: 'Name of the database.' } },
      examples: ['tctl access who sales', "tctl access who sales --format=json | jq -r '[.[].user] | unique | .[]'"],
      load: () => import('./access/who.js'),
    }),

    group({ path: 'auth', summary: 'Certificates and authorities.' }),
    command({
      path: 'auth rotate',
      summary: 'Rotate certificate authorities in the cluster.',
      description:
        'Gives an authority new keys, in phases: init, update_clients, update_servers, standby. Without --manual the cluster goes on by itself within the grace period.',
      options: [
        {
          name: 'interactive',
          kind: 'boolean',
          description: 'Accepted; there is no interactive mode here.',
          hidden: true,
        },
        { name: 'manual', kind: 'boolean', description: 'Activate manual rotation, set rotation phases manually.' },
        {
          name: 'type',
          kind: 'enum',
          values: AUTHORITY_TYPES,
          description: `Certificate authority to rotate, one of: ${AUTHORITY_TYPES.join(', ')}.`,
        },
        {
          name: 'phase',
          description:
            'Target phase of a manual rotation, one of: init, standby, update_clients, update_servers, rollback.',
        },
        {
          name: 'grace-period',
          kind: 'duration',
          default: 30 * HOUR_MS,
          description: 'How long the old keys stay valid. With 0 they end at once: people log in again.',
        },
      ],
      examples: [
        'tctl auth rotate --type=user --grace-period=24h',
        'tctl auth rotate --type=db --manual --phase=init',
        'tctl auth rotate --type=db --manual --phase=rollback',
      ],
      load: () => import('./auth/rotate.js'),
    }),
    command({
      path: 'auth sign',
      summary: 'Create an identity for a program, or certificates for a database.',
      options: [
        { name: 'out', short: 'o', required: true, description: 'File to write, or the start of several names.' },
        { name: 'user', description: 'User whose identity it is.' },
        { name: 'host', kind: 'list', description: 'Comma-separated host names of the database.' },
        { name: 'format', default: 'file', description: 'Format: file, openssh, tls, db.' },
        { name: 'ttl', kind: 'duration', default: 12 * HOUR_MS, description: 'Time to live, default is 12h.' },
        { name: 'overwrite', kind: 'boolean', description: 'Replace existing files without asking.' },
        { name: 'proxy', description: 'Accepted; the file names no proxy.', hidden: true },
        { name: 'db-service', description: 'Database for which the identity is good.' },
        { name: 'db-user', description: 'Database user for which the identity is good.' },
        { name: 'db-name', description: 'Database name for which the identity is good.' },
      ],
      examples: [
        'tctl auth sign --user=ci --out=ci.pem --ttl=1h',
        'tctl auth sign --format=db --host=db.example.com --out=server --ttl=2190h',
      ],
      load: () => import('./auth/sign.js'),
    }),
    command({
      path: 'auth export',
      summary: 'Print the public halves of the authorities.',
      options: [
        {
          name: 'type',
          kind: 'enum',
          values: ['user', 'host', 'tls-host', 'tls-user', 'db', 'db-client', 'openssh'],
          description: 'Which authority.',
        },
        { name: 'out', description: 'Start of the names of files to write, instead of printing.' },
      ],
      examples: ['tctl auth export --type=db-client > db-client-ca.pem', 'tctl auth export --type=host'],
      load: () => import('./auth/export.js'),
    }),

    group({ path: 'audit', summary: 'Read and check the audit log.' }),
    command({
      path: 'audit ls',
      summary: 'List the last records of the audit log.',
      description: 'Needs a rule with "list" and "read" on "event", as the role auditor has.',
      options: [
        ...auditFilter('Where to begin: 24h (so long ago), 2026-11-21 or 2026-11-21T10:00:00Z.', '24h'),
        { name: 'limit', kind: 'int', default: 100, description: 'Most records, the newest, 1 to 10000.' },
        LINES_OR_JSON,
      ],
      examples: [
        'tctl audit ls',
        'tctl audit ls --from=7d --kind=db.session.start,user.login --user=alice',
        "tctl audit ls --database=sales --kind='db.session.*' --limit=1000 --format=json",
      ],
      load: () => import('./audit/ls.js'),
    }),
    command({
      path: 'audit export',
      summary: 'Write the audit log to standard output, one record a line.',
      description: 'Needs a rule with "list" and "read" on "event", as the role auditor has.',
      options: [
        ...auditFilter('Where to begin, default is the beginning: 24h (so long ago), 2026-11-21 or RFC 3339.'),
        { name: 'limit', kind: 'int', default: 0, description: 'Most records, the oldest; 0 for all.' },
        {
          name: 'format',
          kind: 'enum',
          values: ['text', 'json'],
          default: 'json',
          description: "'json': the records as they are. 'text': time, event, user, database and what, with tabs.",
        },
        {
          name: 'checkpoints',
          kind: 'boolean',
          description: 'Only the signed checkpoints, to be kept elsewhere for "tctl audit verify --checkpoints".',
        },
      ],
      examples: [
        'tctl audit export --from=2026-11-01 --to=2026-12-01 > november.jsonl',
        'tctl audit export --checkpoints',
      ],
      load: () => import('./audit/export.js'),
    }),
    command({
      path: 'audit verify',
      summary: 'Check that the audit log is as Auth wrote it.',
      description:
        'Reads the files on the Auth host, or a copy of them, and names the first record that was edited, taken out, moved or cut off. The exit status is 1 when there is one.',
      options: [
        { name: 'dir', kind: 'file', description: 'A copy of the folder of the log.' },
        { name: 'key', kind: 'file', description: 'The key that signs the log, or its public half (PEM).' },
        { name: 'checkpoints', kind: 'file', description: 'Checkpoints that were exported before and kept elsewhere.' },
        LINES_OR_JSON,
      ],
      examples: [
        'tctl audit verify',
        'tctl audit verify --checkpoints=/mnt/elsewhere/checkpoints.jsonl',
        'tctl audit verify --dir=./log --key=audit.key',
      ],
      load: () => import('./audit/verify.js'),
    }),

    command({
      path: 'version',
      summary: 'Print the version of this program.',
      examples: ['tctl version'],
      load: () => import('./version.js'),
    }),
  ],
};
