/**
 * Access requests against a small cluster: made, waited for, taken up, given back. The texts are those of Teleport
 * 18.3.0.
 * Tests: src/access/cluster/own-requests.ts, src/access/cluster/requests.ts, src/tsh/request/at-login.ts
 * Tests: src/tsh/request/create.ts, src/tsh/request/drop.ts, src/tsh/request/execute.ts, src/tsh/request/ls.ts
 * Tests: src/tsh/request/review.ts, src/tsh/request/search.ts, src/tsh/request/show.ts, src/tsh/request/text.ts
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runTsh } from '../../../src/tsh/main.js';
import { type MemoryEnv, memoryEnv } from '../../support/env.js';
import { type FakeCluster, startFakeCluster } from '../../support/fake-cluster/cluster.js';

const ID = '00000001-aaaa-7bbb-8ccc-dddddddddddd';
const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);

let home: string;
let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster({ now: () => NOW });
});
afterAll(() => cluster[Symbol.asyncDispose]());
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tsh-'));
  cluster.calls.length = 0;
  cluster.requests.all.clear();
  cluster.requests.capabilities = {};
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function start(line: string[], answers: string[] = []): { env: MemoryEnv; done: Promise<number> } {
  const env = memoryEnv({
    home,
    now: () => NOW,
    tty: { stdin: answers.length > 0 },
    vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none'), TZ: 'UTC' },
  });
  for (const answer of answers) env.type(`${answer}\n`);
  return { env, done: runTsh(line, env) };
}

async function tsh(line: string[], answers: string[] = []) {
  const { env, done } = start(line, answers);
  return { status: await done, out: env.out(), err: env.err() };
}

const login = (...extra: string[]) =>
  tsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice', ...extra], ['correct', '123456']);
const rows = (text: string, ...labels: string[]) =>
  text.split('\n').filter((line) => labels.some((label) => line.trim().startsWith(label)));

test('roles are asked for, waited for and taken up; drop gives them back', async () => {
  await login();
  const { env, done } = start(['login', '--request-roles=prod-dba', '--request-reason=to look']);
  await cluster.requests.watched();
  cluster.requests.decide('approved', 'go on');
  expect(await done).toBe(0);
  const [before, after] = env.out().split('Waiting for request approval...\n') as [string, string];
  expect(before).toMatch(/^Creating request\.\.\.\nRequest ID: {5}/);
  expect(rows(before, 'Request ID:', 'Roles:', 'Reason:', 'Reviewers:', 'Status:')).toEqual([
    `Request ID:     ${ID} `,
    'Roles:          prod-dba                             ',
    'Reason:         "to look"                            ',
    'Reviewers:      [none] (suggested)                   ',
    'Status:         PENDING                              ',
  ]);
  expect(env.err()).toBe('\nApproval received, reason="go on"\nGetting updated certificates...\n\n');
  expect(rows(after, 'Active requests:', 'Roles:')).toEqual([
    `  Active requests:    ${ID}`,
    '  Roles:              access, capture-db, prod-dba',
  ]);
  const status = JSON.parse((await tsh(['status', '-f', 'json'])).out).active;
  expect(status.active_requests).toEqual([ID]);
  for (const name of ['alice-db/leaf.local/sales.crt', 'alice-ssh/leaf.local-cert.pub']) {
    const file = join(home, '.tsh/keys/localhost', name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'with the roles of the request');
  }
  const dropped = await tsh(['request', 'drop']);
  const kept = readdirSync(join(home, '.tsh/keys/localhost'), { recursive: true });
  expect(kept.filter((name) => String(name).includes('leaf.local') && !String(name).startsWith('cas'))).toEqual([]);
  expect(dropped.out).toMatch(/^Dropping all active access requests\.\.\.\n\n> Profile URL/);
  expect(rows(dropped.out, 'Active requests:', 'Roles:')).toEqual(['  Roles:              access, capture-db']);
});

test('a second login for another cluster keeps what was approved', async () => {
  await login();
  const { done } = start(['login', '--request-roles=*']);
  await cluster.requests.watched();
  cluster.requests.decide('approved');
  await done;
  const leaf = await tsh(['login', 'leaf.local']);
  expect(rows(leaf.out, 'Active requests:')).toEqual([`  Active requests:    ${ID}`]);
});

test('a denial, a request that is gone, and an unknown one are errors; the login stays as it was', async () => {
  await login();
  const denied = start(['request', 'create', '--roles=prod-dba', '--reviewers=bob,carol']);
  await cluster.requests.watched();
  cluster.requests.decide('denied', 'not now');
  expect(await denied.done).toBe(1);
  expect(denied.env.out()).toContain('bob, carol (suggested)');
  expect(denied.env.err()).toContain(`request ${ID} has been set to DENIED, reason="not now"\n`);
  const gone = start(['login', '--request-roles=prod-dba']);
  await cluster.requests.watched();
  cluster.requests.decide('deleted');
  expect(await gone.done).toBe(1);
  expect(gone.env.err()).toContain('has expired or been deleted...\n');
  expect((await tsh(['login', '--request-id=nope'])).err).toContain('invalid access request "nope"\n');
  expect((await tsh(['request', 'show', 'nope'])).err).toContain('no access request matching "nope"\n');
  expect((await tsh(['login', '--request-roles=root'])).err).toContain('user "alice" can not request role "root"\n');
  expect((await tsh(['request', 'create'])).err).toContain('at least one role or resource or a request ID');
  expect((await tsh(['request', 'create', '--resource=sales'])).err).toContain('malformed resource ID "sales"\n');
  expect(rows((await tsh(['status'])).out, 'Active requests:')).toEqual([]);
});

test('an identity file cannot take a request up, and that is said before anybody is asked', async () => {
  const file = join(home, 'ci.pem');
  await login(`--out=${file}`);
  const from = ['-i', file, `--proxy=localhost:${cluster.port}`];
  const refused = await tsh([...from, 'request', 'create', '--roles=prod-dba']);
  expect(refused.err).toContain('an identity file cannot carry an access request\n');
  expect([refused.status, refused.out, cluster.requests.all.size]).toEqual([1, '', 0]);
});

test('a server that goes away while somebody waits is asked again', async () => {
  await login();
  const { env, done } = start(['login', '--request-roles=prod-dba']);
  await cluster.requests.watched();
  await cluster.requests.cut();
  cluster.requests.decide('approved');
  expect(await done).toBe(0);
  expect(env.err()).toContain('Approval received');
  expect(cluster.calls.filter((call) => call === 'WatchEvents')).toHaveLength(2);
});

test('Ctrl-C ends the wait at once with 130, and the request can be taken up later', async () => {
  await login();
  const { env, done } = start(['request', 'create', '--roles=prod-dba']);
  await cluster.requests.watched();
  env.interrupt('SIGINT');
  expect(await done).toBe(130);
  cluster.requests.decide('approved');
  const later = await tsh(['login', `--request-id=${ID}`]);
  expect(later.out).not.toContain('Request pending');
  expect(rows(later.out, 'Active requests:')).toEqual([`  Active requests:    ${ID}`]);
});

test('a cluster that takes its time is named on the terminal, and Ctrl-C ends that wait too', async () => {
  await login();
  let release = () => {};
  cluster.requests.held = new Promise((resolve) => {
    release = resolve;
  });
  try {
    const { env, done } = start(['request', 'ls']);
    env.isTty.stderr = true;
    await env.untilErr('Waiting for the cluster peer.local ...');
    env.interrupt('SIGINT');
    expect(await done).toBe(130);
  } finally {
    cluster.requests.held = undefined;
    release();
  }
});

test('ls and show print what is there; nothing is waited for with --nowait', async () => {
  await login();
  const made = await tsh(['login', '--request-roles=prod-dba', '--request-nowait']);
  expect(made.status).toBe(0);
  expect(made.out).not.toContain('Waiting');
  const table = (await tsh(['request', 'ls'])).out.split('\n');
  expect(table[0]).toMatch(
    /^ID +User +Roles +Resources Created At \(UTC\) +Request TTL Session TTL Assume Time \(UTC\) Status/,
  );
  expect(table[2]).toMatch(
    new RegExp(`^${ID} alice prod-dba +\\d\\d \\w{3} \\d\\d \\d\\d:\\d\\d UTC 12h0m0s +12h0m0s +PENDING`),
  );
  const list = await tsh(['request', 'ls', '--format=json']);
  expect(JSON.parse(list.out)).toMatchObject([{ kind: 'access_request', spec: { user: 'alice', state: 1 } }]);
  expect((await tsh(['requests', 'list', '--reviewable', '--format=json'])).out).toBe('[]');
  expect((await tsh(['request', 'show', ID, '--format=yaml'])).out).toContain('kind: access_request\n');
});

test('somebody reviews; both answers at once, a second one and an unknown request are errors', async () => {
  await login('--request-roles=prod-dba', '--request-nowait');
  const review = (...words: string[]) => tsh(['request', 'review', ...words]);
  expect((await review('--approve', '--deny', ID)).err).toContain("must supply exactly one of '--approve' or '--deny'");
  expect(await review('--deny', '--reason=not now', ID)).toEqual({
    status: 0,
    out: '',
    err: 'Successfully submitted review.  Request state: DENIED\n',
  });
  expect((await review('--approve', ID)).err).toContain('user "alice" has already reviewed this request\n');
  expect((await review('--approve', 'nope')).err).toContain('cannot apply review to access request "nope" (not found)');
  expect((await tsh(['request', 'show', ID])).out).toContain(
    'Denials:\n  Reviewer: alice     \n  Reason:   "not now" \n',
  );
});

test('search lists databases with what to write after --resource', async () => {
  await login();
  const found = await tsh(['request', 'search', '--kind=db']);
  expect(found.out.split('\n').slice(2)).toEqual([
    expect.stringMatching(/^root-db +\S* +\/peer\.local\/db\/root-db $/),
    '',
    'To request access to these resources, run',
    '> tsh request create --resource /peer.local/db/root-db \\',
    '    --reason <request reason>',
    '',
    '',
  ]);
  expect((await tsh(['request', 'search', '--kind=node'])).err).toContain('--kind must be db, got "node"\n');
});

test('a role may make everybody ask at login, with a reason', async () => {
  cluster.requests.capabilities = { requireReason: true, autoRequest: true, requestPrompt: 'ticket?' };
  const refused = await login();
  expect(refused.status).toBe(1);
  expect(refused.err).toContain('--request-reason must be specified, prompt=ticket?\n');
  expect(readdirSync(join(home, '.tsh', 'keys', 'localhost'))).not.toContain('alice.crt');
  const asked = await login('--request-reason=ticket 7', '--request-nowait');
  expect(asked.status).toBe(0);
  expect(asked.out).toContain('\nCreating request...\n');
  cluster.calls.length = 0;
  expect((await login('--request-roles=no')).status).toBe(0);
  expect(cluster.calls).not.toContain('CreateAccessRequestV2');
});
