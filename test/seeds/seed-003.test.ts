/**
 * Seed 003, "Database Access AWS IAM Reference": each of its JSON documents (`seed-003.json`, word for word) against what is
 * printed and what is made in AWS; the documents of seed 001, step 1, as well.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { runProgram } from '../../src/cli/program.js';
import { program } from '../../src/teleport/commands.js';
import { startAwsDouble } from '../support/aws-double.js';
import { memoryEnv } from '../support/env.js';

interface Document {
  Version: string;
  Statement: object[];
}
interface Entry {
  section: string;
  part: 'agent' | 'managed users' | 'kms' | 'user role' | 'trust' | 'assume' | 'boundary';
  document: Document;
}

const SEED = JSON.parse(readFileSync('test/seeds/seed-003.json', 'utf8')) as Entry[];

/** Heading of the seed, our names of the type, the role that people enter as. */
const SECTIONS: [section: string, names: string[], userRole?: string][] = [
  ['DocumentDB', ['docdb', 'documentdb', 'DocumentDB'], 'documentdb-user-role'],
  ['DynamoDB', ['dynamodb', 'DynamoDB'], 'dynamodb-user-role'],
  ['ElastiCache for Redis', ['elasticache', 'ElastiCache']],
  ['Keyspaces', ['keyspace', 'keyspaces', 'Keyspaces'], 'keyspaces-user-role'],
  ['MemoryDB', ['memorydb', 'MemoryDB']],
  ['OpenSearch', ['opensearch', 'OpenSearch'], 'opensearch-user-role'],
  ['RDS', ['rds', 'RDS']],
  ['RDS Proxy', ['rdsproxy', 'rds-proxy']],
  ['Redshift', ['redshift', 'Redshift'], 'redshift-user-role'],
  ['Redshift Serverless', ['redshift-serverless'], 'redshift-serverless-user-role'],
];
const WITH_ROLE = SECTIONS.flatMap(([section, [name], userRole]) =>
  userRole ? [{ section, name: name!, userRole }] : [],
);

const ACCOUNT = '123456789012';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/teleport-db-service-role`;

function seed(section: string, ...parts: Entry['part'][]): Document[] {
  return SEED.filter((one) => one.section === section && parts.includes(one.part)).map(({ document }) => document);
}
const statements = (documents: Document[]) => documents.flatMap(({ Statement }) => Statement);
/** As the seed has it, in an account that is known. */
const known = <T>(value: T): T =>
  JSON.parse(JSON.stringify(value).replace(/(external-)?aws-account-id/g, ACCOUNT)) as T;

async function teleport(words: string[], vars: NodeJS.ProcessEnv = {}) {
  const env = memoryEnv({ vars });
  const status = await runProgram(program, ['db', 'configure', 'aws', ...words], env);
  return { status, out: env.out(), err: env.err() };
}
async function policy<T = Document>(...words: string[]): Promise<T> {
  const { status, out } = await teleport(['print-iam', '--policy', ...words]);
  expect(status).toBe(0);
  return JSON.parse(out) as T;
}

test('the seed has 46 documents, and each is compared below', () => {
  const parts = new Map<string, number>();
  for (const { part } of SEED) parts.set(part, (parts.get(part) ?? 0) + 1);
  const counted = { agent: 10, 'managed users': 2, kms: 2, 'user role': 2, trust: 18, assume: 6, boundary: 6 };
  expect(Object.fromEntries(parts)).toEqual(counted);
  expect(SECTIONS.map(([section]) => section)).toEqual([...new Set(SEED.map(({ section }) => section))]);
});

describe('the policy of the Database Service', () => {
  test.each(SECTIONS)('%s, in every spelling of its name', async (section, names) => {
    const [first] = seed(section, 'agent');
    const wanted = { Version: first!.Version, Statement: statements(seed(section, 'agent', 'managed users')) };
    for (const name of names) expect(await policy('--types', name)).toEqual(wanted);
  });

  test.each(SECTIONS)('%s, for a role whose account is known', async (section, [name]) => {
    const wanted = known(statements(seed(section, 'agent', 'managed users')));
    expect((await policy('--types', name!, '--role', ROLE)).Statement).toEqual(wanted);
  });

  test.each(WITH_ROLE)('$section, with the role that people enter as', async ({ section, name, userRole }) => {
    const wanted = statements(seed(section, 'agent'));
    expect((await policy('--types', name, '--assumes-roles', userRole)).Statement).toEqual(wanted);
    const other = JSON.parse(JSON.stringify(known(wanted)).replaceAll(userRole, 'analyst'));
    const named = await policy('--types', name, '--role', ROLE, '--assumes-roles', 'analyst');
    expect(named.Statement).toEqual(other);
    expect(JSON.stringify(named)).toContain(`arn:aws:iam::${ACCOUNT}:role/analyst`);
  });

  test.each(['ElastiCache for Redis', 'MemoryDB'])('%s, with a KMS key', async (section) => {
    const name = SECTIONS.find(([one]) => one === section)![1][0]!;
    const { Statement } = await policy('--types', name, '--kms-key=your-kms-id');
    const wanted = seed(section, 'agent', 'managed users', 'kms');
    expect(Statement).toEqual(statements(wanted));
    const key = '1234abcd-12ab-34cd-56ef-1234567890ab';
    const own = await policy('--types', name, '--kms-key', key, '--role', ROLE);
    const replaced = JSON.stringify(known(statements(wanted))).replace('your-kms-id', key);
    expect(own.Statement).toEqual(JSON.parse(replaced));
  });

  test('all ten at once have every statement, none twice', async () => {
    const { Statement } = await policy('--types', SECTIONS.map(([, [name]]) => name).join());
    const wanted = SECTIONS.flatMap(([section]) => statements(seed(section, 'agent', 'managed users')));
    expect(Statement).toHaveLength(wanted.length);
    expect(Statement).toEqual(expect.arrayContaining(wanted));
  });

  test.each(WITH_ROLE)('$section, only to assume the role (2.)', async ({ section, userRole }) => {
    expect([await policy('--assumes-roles', userRole)]).toEqual(seed(section, 'assume'));
  });

  test.each(WITH_ROLE)('$section, in its boundary (3.)', async ({ section, name }) => {
    expect([await policy('--boundary', '--types', name)]).toEqual(seed(section, 'boundary'));
  });
});

describe('the role that people enter as', () => {
  test.each(['Redshift', 'Redshift Serverless'])('%s, its policy', async (section) => {
    const name = section.toLowerCase().replace(' ', '-');
    expect([await policy('--user-role', '--types', name)]).toEqual(seed(section, 'user role'));
    const place = ['--role', ROLE, '--region=us-west-2', '--workgroup-id=w1'];
    const own = JSON.stringify(known(seed(section, 'user role')));
    const replaced = own.replace('us-east-2', 'us-west-2').replace('workgroup-id', 'w1');
    expect([await policy('--user-role', '--types', name, ...place)]).toEqual(JSON.parse(replaced));
  });

  test.each(WITH_ROLE)('$section, its three trust relationships (1.)', async ({ section, name }) => {
    const [role, account, external] = await policy<Document[]>('--trust', '--types', name);
    expect([role, account, external]).toEqual(seed(section, 'trust'));
    const own = await policy<Document[]>('--trust', '--types', name, '--role', ROLE, '--external-id=e-1');
    const replaced = JSON.stringify(known(seed(section, 'trust'))).replace('example-external-id', 'e-1');
    expect(own.slice(0, 3)).toEqual(JSON.parse(replaced));
  });

  test('seed 001 names EC2 as well, and allows one workgroup', async () => {
    const node = `arn:aws:iam::${ACCOUNT}:role/teleport-redshift-serverless-node`;
    const types = ['--types=redshift-serverless', '--role', node];
    const statement = {
      Sid: 'Statement1',
      Effect: 'Allow',
      Principal: { AWS: node, Service: 'ec2.amazonaws.com' },
      Action: 'sts:AssumeRole',
    };
    const trust = await policy<Document[]>('--trust', ...types);
    expect(trust).toHaveLength(4);
    expect(trust[3]!.Statement).toEqual([statement]);
    const place = ['--region=us-west-2', '--workgroup-id=some-workgroup-id'];
    expect((await policy('--user-role', ...types, ...place)).Statement).toMatchObject([
      {
        Effect: 'Allow',
        Action: 'redshift-serverless:GetCredentials',
        Resource: `arn:aws:redshift-serverless:us-west-2:${ACCOUNT}:workgroup/some-workgroup-id`,
      },
    ]);
  });
});

describe('what is not known', () => {
  const words = ['print-iam', '--types=redshift,elasticache'];
  const named = ['aws-account-id', 'username', 'redshift-user-role', 'us-east-2', 'replication-group'];

  test('is listed as placeholders behind the text', async () => {
    const { out, err } = await teleport(words);
    const [, list = ''] = out.split('\nPlaceholders, to be replaced before you use this:\n');
    expect(list.match(/^ {2}[\w-]+(?=:)/gm)?.map((line) => line.trim())).toEqual(named);
    expect(err).toBe('');
  });

  test('beside JSON on standard error, so that the JSON can be read', async () => {
    const { out, err } = await teleport([...words, '--policy']);
    expect(JSON.parse(out).Version).toBe('2012-10-17');
    const warned = err.match(/(?<=^WARNING: ")[\w-]+(?=" is a placeholder: )/gm);
    expect(warned).toEqual(named.filter((name) => name !== 'username'));
    const json = await teleport([...words, '--format=json']);
    const { account_id, attach_to, documents, placeholders } = JSON.parse(json.out);
    expect([account_id, attach_to, documents.length]).toEqual([null, ['username'], 1]);
    expect(placeholders.map(({ text }: { text: string }) => text)).toEqual(named);
  });

  test('nothing is, where everything was said', async () => {
    const place = ['--role', ROLE, '--assumes-roles=analyst'];
    const { out } = await teleport(['print-iam', '--types=redshift', ...place]);
    expect(out).not.toContain('laceholder');
    expect(out).toContain(`1. [${ACCOUNT}] Create IAM Policy "DatabaseAccess":\n`);
    expect(out).toContain(`2. [${ACCOUNT}] Attach IAM policies to "teleport-db-service-role".\n`);
  });
});

describe('in AWS', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  test.each(SECTIONS)('create-iam makes the policy of %s', async (section, [name]) => {
    const aws = await startAwsDouble();
    try {
      const ops = aws.addUser('ops', {
        policies: [{ Statement: { Effect: 'Allow', Action: 'iam:*', Resource: '*' } }],
      });
      aws.addRole('teleport-db-service-role', { path: '/team/' });
      process.env = { ...before, ...aws.env(ops) };
      const entered = WITH_ROLE.find((one) => one.section === section);
      const roles = entered ? ['--assumes-roles', entered.userRole] : [];
      const words = ['create-iam', '--types', name!, '--role=teleport-db-service-role', '--confirm', ...roles];
      const { status, out } = await teleport(words, process.env);
      expect([status, out]).toEqual([0, expect.stringContaining('Create IAM Policy "DatabaseAccess"... done.')]);
      const made = aws.calls.find(({ action }) => action === 'iam:CreatePolicy');
      const document = JSON.parse(String(made?.params.PolicyDocument)) as Document;
      // Where the seed has one region and group as an example, every one of the account is meant.
      const wanted = JSON.stringify(known(statements(seed(section, 'agent', 'managed users'))))
        .replaceAll(':us-east-2:', ':*:')
        .replaceAll('replicationgroup:replication-group', 'replicationgroup:*');
      expect(document.Statement).toEqual(JSON.parse(wanted));
    } finally {
      await aws.stop();
    }
  });
});
