/**
 * Tests: src/teleport/config-proxy.ts, src/teleport/db/configure/agent-config.ts, src/teleport/db/configure/create.ts
 * Tests: src/teleport/install/systemd.ts, src/teleport/output-file.ts
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { program } from '../../src/teleport/commands.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { unit } from '../../src/teleport/install/systemd.js';
import { memoryEnv } from '../support/env.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'teleport-configure-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function teleport(...argv: string[]) {
  const env = memoryEnv({ home: dir });
  // The default folder may be that of a cluster on this machine.
  const writes = argv[0] === 'configure' && !argv.some((word) => /^--(data-dir|test)=/.test(word));
  const status = await runProgram(program, writes ? [...argv, `--data-dir=${dir}/data`] : argv, env);
  return { status, out: env.out(), err: env.err() };
}

/** Lines that are no remark, as a reader of YAML takes them. */
const bare = (text: string) => text.split('\n').filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));

// The lines of Teleport 18.3.0's own output.
const TOP = (nodename: string) => [
  'version: v3',
  'teleport:',
  `  nodename: ${nodename}`,
  `  data_dir: ${dir}/data`,
  '  join_params:',
  '    token_name: ""',
  '    method: token',
  '  log:',
  '    output: stderr',
  '    severity: INFO',
  '    format:',
  '      output: text',
  '  ca_pin: ""',
  '  diag_addr: ""',
];

test('W4 configure prints what Teleport prints, and a service for databases; start accepts it', async () => {
  const { out, err, status } = await teleport('configure', '--node-name=host1');
  expect({ err, status }).toEqual({ err: '', status: 0 });
  expect(out.split('\n').findIndex((line) => !line.startsWith('#'))).toBe(7);
  expect(bare(out)).toEqual([
    ...TOP('host1'),
    'auth_service:',
    '  enabled: "yes"',
    '  listen_addr: 0.0.0.0:3025',
    '  proxy_listener_mode: multiplex',
    'ssh_service:',
    '  enabled: "no"',
    'proxy_service:',
    '  enabled: "yes"',
    '  https_keypairs: []',
    '  https_keypairs_reload_interval: 0s',
    '  acme: {}',
    'db_service:',
    '  enabled: "yes"',
    '  resources:',
    '  - labels:',
    "      '*': '*'",
  ]);
  const config = teleportConfig({}, 'f', parseConfigText(out, 'f'));
  expect(config.auth?.listen).toEqual({ host: '0.0.0.0', port: 3025 });
  expect(config.proxy?.listen).toEqual({ host: '0.0.0.0', port: 3080 });
});

test.each(['--acme-email', '--email'])('ACME sets the web port and the public address (%s)', async (flag) => {
  const { out, err } = await teleport('configure', '--cluster-name=t.example.com', '--acme', `${flag}=u@example.com`);
  expect(bare(out).slice(14)).toEqual([
    'auth_service:',
    '  enabled: "yes"',
    '  listen_addr: 0.0.0.0:3025',
    '  cluster_name: t.example.com',
    '  proxy_listener_mode: multiplex',
    'ssh_service:',
    '  enabled: "no"',
    'proxy_service:',
    '  enabled: "yes"',
    '  web_listen_addr: 0.0.0.0:443',
    '  public_addr: t.example.com:443',
    '  https_keypairs: []',
    '  https_keypairs_reload_interval: 0s',
    '  acme:',
    '    enabled: "yes"',
    '    email: u@example.com',
    'db_service:',
    '  enabled: "yes"',
    '  resources:',
    '  - labels:',
    "      '*': '*'",
  ]);
  expect(err).not.toContain('ACME');
  expect(teleportConfig({}, 'f', parseConfigText(out, 'f')).proxy!.acme).toMatchObject({
    names: ['t.example.com'],
    email: 'u@example.com',
    directory: 'https://acme-v02.api.letsencrypt.org/directory',
  });
});

test('role discovery has no sample: it is said where one is', async () => {
  const { err, status } = await teleport('configure', '--roles=discovery');
  expect(status).toBe(1);
  expect(err).toContain('"tctl tokens add --type=discovery" shows it.');
});

test('W4 role db serves every database that is made in the cluster', async () => {
  const { out, err, status } = await teleport('configure', '--roles=db');
  expect(bare(out)).toEqual([
    ...TOP(hostname()),
    'auth_service:',
    '  enabled: "no"',
    'ssh_service:',
    '  enabled: "no"',
    'proxy_service:',
    '  enabled: "no"',
    '  https_keypairs: []',
    '  https_keypairs_reload_interval: 0s',
    '  acme: {}',
    'db_service:',
    '  enabled: "yes"',
    '  resources:',
    '  - labels:',
    "      '*': '*'",
  ]);
  expect(err).toBe('');
  expect(status).toBe(0);
});

test('the command that it prints is one that a shell reads as it is meant', async () => {
  const file = join(dir, 'a $(touch x) b', 'teleport.yaml');
  const { out } = await teleport('configure', `--output=${file}`, `--data-dir=${dir}/data`);
  expect(out).toContain(`teleport start --config='${file}'\n`);
});

test('a file is written once, closed to others, and checked with --test', async () => {
  const file = join(dir, 'sub', 'teleport.yaml');
  const wrote = await teleport('configure', `--output=file://${file}`, `--data-dir=${dir}/data`);
  expect(wrote.out).toBe(
    `\nA Teleport configuration file has been created at "${file}".\nTo start Teleport with this configuration file, run:\n\nteleport start --config="${file}"\n\nHappy Teleporting!\n`,
  );
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toMatch(/^version: v3\n/);
  const again = await teleport('configure', `--output=${file}`);
  expect(again.err).toContain(`will not overwrite existing file ${file}, rm -f ${file} and try again`);
  expect(again.status).toBe(1);
  expect(await teleport('configure', `--test=${file}`)).toEqual({ status: 0, out: '', err: `OK ${file}\n` });
  writeFileSync(file, 'bogus: 1\n');
  const failed = await teleport('configure', `--test=${file}`);
  expect(failed.err).toMatch(/^FAIL .*\n.*ERROR: .*failed parsing the config file:/);
  expect([failed.status, failed.out]).toEqual([1, '']);
});

describe('S16 --test refuses what start would refuse', () => {
  const database = (more: string) => `db_service: {enabled: yes, databases: [{name: a, protocol: postgres, ${more}}]}`;
  const matcher = (more: string) => `db_service: {enabled: yes, aws: [{regions: [us-east-1], ${more}}]}`;
  const proxy = (more: string) =>
    `db_service: {enabled: no}\nproxy_service: {enabled: yes, public_addr: a.example.com, ${more}}`;
  const auth = (more: string) => `auth_service: {enabled: yes, cluster_name: a.example.com, ${more}}`;
  const keypair = (key: string, cert: string) =>
    `db_service: {enabled: no}\nproxy_service: {enabled: yes, https_keypairs: [{key_file: ${dir}/${key}, cert_file: ${dir}/${cert}}]}`;
  test.each<[string, () => string, string]>([
    ['no authority', () => database(`uri: 'h:1', tls: {ca_cert_file: ${dir}/empty}`), 'empty: it is empty'],
    ['no file', () => database(`uri: 'h:1', tls: {ca_cert_file: ${dir}/nowhere}`), 'no such file or directory'],
    ['no port', () => database('uri: h'), 'missing port in address'],
    ['no address', () => database("uri: ''"), 'database "a" URI is empty'],
    [
      'a list as label',
      () => database("uri: 'h:1', static_labels: {env: [a]}"),
      'databases[0].static_labels.env: expected',
    ],
    ['no protocol', () => 'db_service: {enabled: yes, databases: [{name: only}]}', 'database "only" protocol is empty'],
    ['a matcher of a type that there is not', () => matcher('types: [redshfit]'), 'unknown matcher type "redshfit"'],
    ['a matcher without tags', () => matcher('types: [redshift]'), 'db_service.aws: missing parameter Labels'],
    [
      'no key of ACME',
      () => proxy(`acme: {enabled: yes, eab: {key_id: x, hmac_key_file: ${dir}/empty}}`),
      'empty does not hold a key in base64url',
    ],
    ['no authority of ACME', () => proxy(`acme: {enabled: yes, ca_file: ${dir}/empty}`), 'empty: it is empty'],
    ['a token without roles', () => auth("tokens: ['secret']"), 'a static token must have the form role,role:token'],
    ['a token of a role that there is not', () => auth("tokens: ['dbb:secret']"), 'dbb'],
    ['a key that is none', () => auth(`audit_signing_key: ${dir}/empty`), 'is not an Ed25519 private key'],
    ['a key beside the log', () => auth(`audit_signing_key: ${dir}/data/log/key`), 'must not lie beside it'],
    ['a login that lives for nothing', () => auth('authentication: {default_session_ttl: 0s}'), 'is not a duration'],
    ['no key', () => keypair('empty', 'empty'), 'https_keypairs: there is no certificate in'],
    ['no key file', () => keypair('nowhere', 'empty'), "nowhere' does not exist"],
  ])('%s', async (_what, sections, message) => {
    writeFileSync(join(dir, 'empty'), '');
    const file = join(dir, 't.yaml');
    writeFileSync(
      file,
      `version: v3\nteleport: {auth_server: 'localhost:3025', data_dir: ${dir}/data}\n${sections()}\n${sections().includes('auth_service') ? '' : 'auth_service: {enabled: no}\n'}`,
    );
    const { status, err } = await teleport('configure', `--test=${file}`);
    expect(err).toMatch(/^FAIL /);
    expect(err).toContain(message);
    expect(status).toBe(1);
  });
});

test('S13 --test refuses a log that start could not write', async () => {
  const file = join(dir, 'syslog.yaml');
  writeFileSync(file, 'version: v3\nteleport: {log: {output: syslog}}\n');
  const { status, err } = await teleport('configure', `--test=${file}`);
  expect([status, err]).toEqual([1, expect.stringContaining('log.output: syslog is not supported')]);
});

test('certificate files are made absolute and must exist, both of them', async () => {
  const files = ['cert.pem', 'key.pem'].map((name) => join(dir, name));
  expect((await teleport('configure', '--cert-file=cert.pem')).err).toContain(
    'please provide both --key-file and --cert-file',
  );
  expect((await teleport('configure', '--cert-file=cert.pem', '--key-file=key.pem')).err).toContain(
    `open ${files[1]}: no such file or directory`,
  );
  for (const file of files) writeFileSync(file, '');
  const { out } = await teleport('configure', '--cert-file=cert.pem', '--key-file=key.pem', '--public-addr=a.b:8443');
  const { keypairs, publicAddr, listen } = teleportConfig({}, 'f', parseConfigText(out, 'f')).proxy!;
  expect(keypairs).toEqual([{ keyFile: files[1], certFile: files[0] }]);
  expect([publicAddr, listen.port]).toEqual([['a.b:8443'], 8443]);
});

test('an agent configuration has the members of Teleport in their order', async () => {
  const { out } = await teleport(
    ...'db configure create --proxy=proxy.example.com:443 --name=redshift --protocol=postgres'.split(' '),
    ...'--uri=rs.example.com:5439 --labels=env=dev,a=b --ca-pin=sha256:0000 --dynamic-resources-labels=env=x,t=y'.split(
      ' ',
    ),
    ...'--dynamic-resources-labels=z=1 --redshift-serverless-discovery=us-west-2 --redshift-discovery=us-east-1'.split(
      ' ',
    ),
    ...'--aws-redshift-cluster-id=c1 --aws-region=us-east-1 --trust-system-cert-pool --ca-cert-file=/ca.pem'.split(' '),
  );
  expect(out.startsWith('\n#\n')).toBe(true);
  expect(bare(out)).toEqual([
    'version: v3',
    'teleport:',
    `  nodename: "${hostname()}"`,
    '  data_dir: "/var/lib/teleport"',
    '  proxy_server: "proxy.example.com:443"',
    '  auth_token: "/tmp/token"',
    '  ca_pin:',
    '  - "sha256:0000"',
    'db_service:',
    '  enabled: true',
    '  resources:',
    '  - labels:',
    '      "env": "x"',
    '      "t": "y"',
    '  - labels:',
    '      "z": "1"',
    '  aws:',
    '  - types: ["redshift"]',
    '    regions:',
    '    - "us-east-1"',
    '    tags:',
    '      "*": "*"',
    '  - types: ["redshift-serverless"]',
    '    regions:',
    '    - "us-west-2"',
    '    tags:',
    '      "*": "*"',
    '  databases:',
    '  - name: "redshift"',
    '    protocol: "postgres"',
    '    uri: "rs.example.com:5439"',
    '    tls:',
    '      ca_cert_file: "/ca.pem"',
    '      trust_system_cert_pool: true',
    '    aws:',
    '      region: "us-east-1"',
    '      redshift:',
    '        cluster_id: "c1"',
    '    static_labels:',
    '      "a": "b"',
    '      "env": "dev"',
    'auth_service:',
    '  enabled: "no"',
    'ssh_service:',
    '  enabled: "no"',
    'proxy_service:',
    '  enabled: "no"',
  ]);
});

test('the commented samples of an agent configuration are valid when the marks are taken away', async () => {
  const file = join(dir, 'a.yaml');
  expect((await teleport('db', 'configure', 'create', '-o', `file://${file}`)).out).toBe(
    `Wrote config to file "${file}". Now you can start the server. Happy Teleporting!\n`,
  );
  const text = readFileSync(file, 'utf8');
  expect(bare(text)).toContain('  enabled: true');
  const open = text.replace(/^ {2}# (?=(resources|aws|azure|databases):|-| )/gm, '  ');
  const { db } = teleportConfig({ token: 't' }, 'f', parseConfigText(open, 'f'));
  expect(db?.databases.map(({ metadata }) => metadata.name)).toEqual([
    'redshift',
    'redshift-serverless',
    'self-hosted',
  ]);
  expect([db?.resources.length, db?.aws.length]).toEqual([1, 1]);
  const again = await teleport('db', 'configure', 'create', '-o', `file://${file}`);
  expect(again.err).toContain('will not overwrite existing file');
});

test('a systemd unit names the program, its files and its limit', async () => {
  const text = unit({
    envFile: '/etc/default/teleport',
    pidFile: '/run/teleport.pid',
    fdLimit: 524_288,
    teleportPath: '/usr/local/bin/teleport',
  });
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines).toEqual([
    '[Unit]',
    'Description=Teleport Service',
    'After=network.target',
    '[Service]',
    'Type=simple',
    'Restart=always',
    'RestartSec=5',
    'EnvironmentFile=-/etc/default/teleport',
    'ExecStart=/usr/local/bin/teleport start --config /etc/teleport.yaml --pid-file=/run/teleport.pid',
    'ExecReload=/bin/kill -HUP $MAINPID',
    'PIDFile=/run/teleport.pid',
    'LimitNOFILE=524288',
    '[Install]',
    'WantedBy=multi-user.target',
  ]);
  const file = join(dir, 'teleport.service');
  expect((await teleport('install', 'systemd', `--output=${file}`)).out).toBe('');
  expect(existsSync(file)).toBe(true);
});
