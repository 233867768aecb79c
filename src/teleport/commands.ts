/** The command table of `teleport`: what is typed, what the help says, which file does it. Spec: cli.md 7. */
import { command, group, type ProgramSpec } from '../cli/command.js';
import { VERSION } from '../version.js';
import {
  ASSUMES_ROLES,
  CA_PIN,
  CONFIG,
  CONFIRM,
  DATABASE,
  DEBUG,
  DISCOVERY,
  IAM,
  outputOption,
  POLICY_NAME,
  PRINT_IAM,
  START,
  START_HOST,
} from './flags.js';

export const program: ProgramSpec = {
  name: 'teleport',
  version: VERSION,
  description: 'Teleport services for access to databases: Auth, Proxy, Database and Discovery Service.',
  globals: [],
  commands: [
    command({
      path: 'start',
      summary: 'Start the services of this host.',
      description: 'Without a configuration file: Auth, Proxy and Database Service on this host.',
      options: [...START, ...START_HOST],
      ownsSignals: true,
      examples: [
        'teleport start --config=/etc/teleport.yaml',
        'teleport start --config=/etc/teleport.yaml --token=/tmp/token',
        'teleport start --roles=auth,proxy,db --data-dir=$HOME/teleport',
      ],
      load: () => import('./start.js'),
    }),
    command({
      path: 'configure',
      summary: 'Print or write a first configuration file, or check one.',
      options: [
        outputOption('/etc/teleport.yaml'),
        { name: 'cluster-name', description: 'Name of the cluster, best a DNS name.' },
        {
          name: 'acme',
          kind: 'boolean',
          description: "Get the certificate from an ACME authority such as Let's Encrypt, which must reach port 443.",
        },
        {
          name: 'acme-email',
          aliases: ['email'],
          description: 'E-mail address in that section.',
        },
        { name: 'public-addr', description: 'Address that people use for the Proxy, host or host:port.' },
        { name: 'cert-file', description: 'TLS certificate of the Proxy.' },
        { name: 'key-file', description: 'Its private key.' },
        { name: 'data-dir', default: '/var/lib/teleport', description: 'Folder for state [/var/lib/teleport].' },
        {
          name: 'roles',
          kind: 'list',
          default: ['auth', 'proxy', 'db'],
          description: 'Services to enable: auth, proxy, node, db [auth,proxy,db].',
        },
        { name: 'token', description: 'Invitation token, or the path of a file that holds it.' },
        {
          name: 'join-method',
          kind: 'enum',
          values: ['token', 'iam'],
          default: 'token',
          description: 'How to join: by the token, or by an AWS identity that the token is for: token, iam [token].',
        },
        { name: 'auth-server', description: 'Address of an Auth Service to join.' },
        { name: 'proxy', description: 'Address of a Proxy Service to join through.' },
        { name: 'node-name', description: 'Name of this host in the cluster.' },
        { name: 'node-labels', description: 'Labels of this host, for example env=prod.' },
        { name: 'version', default: 'v3', description: 'Version of the file: v1, v2, v3 [v3].' },
        { name: 'test', description: 'Only check this file.' },
      ],
      examples: [
        'teleport configure --cluster-name=teleport.example.com --public-addr=teleport.example.com -o file',
        'teleport configure --test=/etc/teleport.yaml',
      ],
      load: () => import('./configure.js'),
    }),

    group({ path: 'db', summary: 'The Database Service.' }),
    command({
      path: 'db start',
      summary: 'Start the Database Service alone.',
      options: [
        ...START,
        ...DATABASE,
        { name: 'description', description: 'Description of the database.' },
        { name: 'ca-cert', description: 'File with the authority of the database, PEM.' },
        {
          name: 'aws-session-tags',
          description: 'Session tags for the assumed role: comma-separated key=value pairs.',
        },
      ],
      ownsSignals: true,
      examples: [
        'teleport db start --token=/tmp/token --auth-server=proxy.example.com:443 --name=pg --protocol=postgres --uri=localhost:5432',
      ],
      load: () => import('./db/start.js'),
    }),
    group({ path: 'db configure', summary: 'Configuration of a Database Service.' }),
    command({
      path: 'db configure create',
      summary: 'Print or write the configuration of a Database Service.',
      options: [
        outputOption('/etc/teleport.yaml'),
        { name: 'proxy', default: '0.0.0.0:3080', description: 'Address of the Proxy Service [0.0.0.0:3080].' },
        {
          name: 'token',
          default: '/tmp/token',
          description: 'Invitation token, or the path of a file that holds it [/tmp/token].',
        },
        CA_PIN,
        ...DATABASE,
        ...DISCOVERY,
        {
          name: 'aws-tags',
          description: 'AWS tags that a found database must have: comma-separated key=value pairs [*=*].',
        },
        { name: 'ca-cert-file', description: 'File with the authority of the database, PEM.' },
        {
          name: 'trust-system-cert-pool',
          kind: 'boolean',
          description: 'Trust the authorities of this host for the database.',
        },
        {
          name: 'dynamic-resources-labels',
          kind: 'texts',
          description: 'Labels of "db" resources to serve: comma-separated key=value pairs. You can repeat it.',
        },
      ],
      examples: [
        'teleport db configure create -o file --name=redshift --proxy=example.teleport.sh:443 --protocol=postgres --uri=sales.abc123.us-east-1.redshift.amazonaws.com:5439 --token=/tmp/token',
        'teleport db configure create --proxy=example.teleport.sh:443 --redshift-serverless-discovery=us-east-1',
      ],
      load: () => import('./db/configure/create.js'),
    }),
    command({
      path: 'db configure bootstrap',
      summary: 'Give the Database Service the IAM permissions that its configuration needs.',
      description:
        'A role that the configuration assumes (assume_role_arn) gets what its databases need. Any other role or user is taken for the Database Service itself: it gets the rest, and may assume these roles. Run it once for each. It shows what it will do and asks; a second run changes nothing. A policy over the size that AWS takes is divided: NAME, NAME-2 and so on.',
      options: [
        { ...CONFIG, default: '/etc/teleport.yaml' },
        { name: 'manual', kind: 'boolean', description: 'Only print what is to do; AWS is not asked.' },
        POLICY_NAME,
        CONFIRM,
        {
          name: 'attach-to-role',
          description:
            'IAM role, name or ARN. Not together with --attach-to-user. Default: who the credentials belong to.',
        },
        { name: 'attach-to-user', description: 'IAM user, name or ARN. Not together with --attach-to-role.' },
        ASSUMES_ROLES,
      ],
      examples: [
        'teleport db configure bootstrap -c /etc/teleport.yaml --attach-to-role teleport-db-service',
        'teleport db configure bootstrap -c /etc/teleport.yaml --attach-to-role arn:aws:iam::123456789012:role/far-databases',
        'teleport db configure bootstrap --manual',
      ],
      load: () => import('./db/configure/bootstrap.js'),
    }),
    group({ path: 'db configure aws', summary: 'IAM permissions of a Database Service.' }),
    command({
      path: 'db configure aws print-iam',
      summary: 'Print IAM policies of a Database Service and of the roles that people enter as; AWS is not asked.',
      description:
        'Without --user-role, --trust or --boundary it is the policy of the Database Service itself. What is not known stands as a placeholder and is listed as one: behind the text, or as warnings on standard error beside JSON.',
      options: [...IAM, ...PRINT_IAM],
      examples: [
        'teleport db configure aws print-iam --types rds,redshift --role teleport-db-service-role',
        'teleport db configure aws print-iam --types redshift-serverless --assumes-roles=analyst --policy',
        '# The role "analyst" that people enter as: what it may do, and whom it trusts.',
        'teleport db configure aws print-iam --types redshift-serverless --user-role --assumes-roles=analyst --region=us-east-1',
        'teleport db configure aws print-iam --trust --assumes-roles=analyst --role arn:aws:iam::123456789012:role/teleport-db-service-role',
        'teleport db configure aws print-iam --boundary',
      ],
      load: () => import('./db/configure/print-iam.js'),
    }),
    command({
      path: 'db configure aws create-iam',
      summary: 'Create the IAM policy of a Database Service and attach it.',
      description:
        'It shows what it will do and asks. A second run changes nothing. A policy over the size that AWS takes is divided: NAME, NAME-2 and so on.',
      options: [...IAM, { ...POLICY_NAME, name: 'name', aliases: ['policy-name'] }, CONFIRM],
      examples: [
        'teleport db configure aws create-iam --types redshift --role teleport-db-service-role --confirm',
        'teleport db configure aws create-iam --types redshift-serverless --assumes-roles=analyst --role teleport-db-service-role',
      ],
      load: () => import('./db/configure/create-iam.js'),
    }),

    command({
      path: 'status',
      summary: 'Print the status of the SSH session around this command.',
      examples: ['teleport status'],
      load: () => import('./status.js'),
    }),
    command({
      path: 'version',
      summary: 'Print the version of this program.',
      options: [{ name: 'raw', kind: 'boolean', description: 'Only the number.' }],
      examples: ['teleport version', 'teleport version --raw'],
      load: () => import('./version.js'),
    }),

    group({ path: 'install', summary: 'Files for the host.' }),
    command({
      path: 'install systemd',
      summary: 'Print or write a systemd unit that runs Teleport.',
      options: [
        { name: 'env-file', default: '/etc/default/teleport', description: 'File with environment variables.' },
        { name: 'pid-file', default: '/run/teleport.pid', description: 'File with the process id.' },
        { name: 'fd-limit', kind: 'int', default: 524_288, description: 'Largest number of open files.' },
        { name: 'teleport-path', description: 'The program to run; default is this one.' },
        outputOption('/lib/systemd/system/teleport.service'),
      ],
      examples: ['teleport install systemd -o file', 'teleport install systemd --fd-limit=8192'],
      load: () => import('./install/systemd.js'),
    }),

    group({ path: 'debug', summary: 'A running process; not there yet.', hidden: true }),
    command({
      path: 'debug get-log-level',
      summary: 'Show the log level of a running process.',
      hidden: true,
      options: [DEBUG],
      load: () => import('./debug.js'),
    }),
    command({
      path: 'debug set-log-level <level>',
      summary: 'Change the log level of a running process.',
      hidden: true,
      arguments: { level: { description: 'trace, debug, info, warn or error.' } },
      load: () => import('./debug.js'),
    }),
  ],
};
