import { agentStatements, IAM_TYPES, parseIamTypes, printIam } from '../../src/aws/iam-policy.js';

test("a cluster's permissions are printed as the reference page has them", () => {
  const text = printIam({ types: ['redshift'], role: 'teleport-db', assumesRoles: ['redshift-user-role'] });
  expect(text).toBe(`1. [*] Create IAM Policy "DatabaseAccess":
{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "RedshiftConnectAsDBUser",
            "Effect": "Allow",
            "Action": "redshift:GetClusterCredentials",
            "Resource": "*"
        },
        {
            "Sid": "RedshiftConnectAsIAMRole",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": [
                "arn:*:iam::*:role/redshift-user-role"
            ]
        },
        {
            "Sid": "RedshiftFetchMetadata",
            "Effect": "Allow",
            "Action": "redshift:DescribeClusters",
            "Resource": "*"
        }
    ]
}

2. [*] Attach IAM policies to "teleport-db".
`);
});

test('only the policy is printed when asked, under any order of types', () => {
  const types = parseIamTypes(['redshift-serverless,documentdb', 'redshift']);
  expect(types).toEqual(['redshift', 'redshift-serverless', 'docdb']);
  const { Statement } = JSON.parse(printIam({ types, policyOnly: true }));
  expect(Statement.map((one: { Sid?: string }) => one.Sid)).toEqual([
    'RedshiftConnectAsDBUser',
    'RedshiftFetchMetadata',
    'RedshiftServerlessFetchMetadata',
    undefined,
    'DocumentDBCheckDomainURL',
  ]);
});

test('an action is not repeated by a later type, and no Sid stands twice', () => {
  const all = agentStatements({ types: IAM_TYPES, assumesRoles: ['b', 'a'] });
  const sids = all.flatMap(({ sid }) => sid ?? []);
  expect(new Set(sids).size).toBe(sids.length);
  const assume = all.filter(({ actions }) => actions.includes('sts:AssumeRole'));
  expect(assume).toMatchObject([
    { sid: 'RedshiftConnectAsIAMRole', resources: ['arn:*:iam::*:role/a', 'arn:*:iam::*:role/b'] },
  ]);
  expect(sids).not.toContain('RDSProxyConnect');
  expect(sids).not.toContain('DocumentDBCheckDomainURL');
  expect(all.filter(({ actions }) => actions.includes('elasticache:Connect'))).toHaveLength(1);
});

test('roles alone, or with a type that has no place for them, get their statement too', () => {
  expect(agentStatements({ types: [], assumesRoles: ['arn:aws:iam::123456789012:role/r'] })).toMatchObject([
    { actions: ['sts:AssumeRole'], resources: ['arn:aws:iam::123456789012:role/r'] },
  ]);
  const rds = agentStatements({ types: ['rds'], assumesRoles: ['r'] });
  expect(rds.at(-1)?.actions).toEqual(['sts:AssumeRole']);
});

test('what cannot be printed is said', () => {
  expect(() => parseIamTypes(['foo'])).toThrow(
    `--types "foo" not supported. supported types are: ${IAM_TYPES.join(', ')}`,
  );
  expect(() => printIam({ types: [] })).toThrow(
    /^at least one of --assumes-roles or --types should be provided. Valid --types: rds,/,
  );
  expect(printIam({ types: ['keyspace'] })).toBe("The agent doesn't require any extra configuration.\n");
  expect(printIam({ types: ['redshift'] })).toContain('2. [*] Attach IAM policies to "username".');
  expect(printIam({ types: ['redshift'], role: 'arn:aws:iam::123456789012:role/r' })).toBe(
    '⚠️ Skipping matchers with identity "username": policy target "arn:aws:iam::123456789012:role/r" is unreachable from assumed role "arn:*:iam::*:user/username"\nThe agent doesn\'t require any extra configuration.\n',
  );
});
