/** That the check of the AWS double against botocore's models can fail: faults of every kind are planted, and found. */
import { describe, expect, test } from '@jest/globals';
import { iamActions } from './iam.js';
import { MODELS, type Model, matches, statusOf } from './model.js';
import { checkReply, checkRequest } from './model-check.js';
import { parseXml } from './model-read.js';
import { redshiftActions } from './redshift.js';
import { jsonFault, jsonReply, list, queryFault, queryReply, type Reply, type XmlValue } from './reply.js';
import { serverlessActions } from './serverless.js';
import { stsActions } from './sts.js';

const { sts, iam, redshift, 'redshift-serverless': serverless } = MODELS;

describe('the models', () => {
  test.each([
    ['sts', sts, stsActions],
    ['iam', iam, iamActions],
    ['redshift', redshift, redshiftActions],
    ['redshift-serverless', serverless, serverlessActions],
  ] as [string, Model, object][])(
    'of %s has what the double serves, and nothing that the check cannot read',
    (...row) => {
      const [, model, actions] = row;
      expect(Object.keys(model.operations).sort()).toEqual(Object.keys(actions).sort());
      const types = ['structure', 'list', 'map', 'string', 'integer', 'long', 'double', 'boolean', 'timestamp'];
      for (const { type, pattern } of Object.values(model.shapes)) {
        expect(types).toContain(type);
        if (pattern) expect(typeof matches(pattern, 'a')).toBe('boolean');
      }
      for (const { http, input } of Object.values(model.operations)) {
        expect([http.method, http.requestUri, typeof input.shape]).toEqual(['POST', '/', 'string']);
      }
    },
  );

  test('a pattern stands for the whole text', () => {
    expect(matches('[\\w+=,.@-]*', 'me@example.com')).toBe(true);
    expect(matches('[\\w+=,.@-]*', 'me and you')).toBe(false);
    expect(matches('a|b', 'bc')).toBe(false);
    expect(matches('[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*', 'Zürich 8')).toBe(true);
  });
});

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
const JSON_1_1 = { 'content-type': 'application/x-amz-json-1.1' };
const asked = (model: Model, name: string, sent: Record<string, unknown>, more: object = {}) => {
  const headers = model.metadata.protocol === 'query' ? FORM : JSON_1_1;
  return checkRequest(model, name, { method: 'POST', target: '/', headers, ...more }, sent);
};
const ROLE = { RoleArn: 'arn:aws:iam::123456789012:role/reader', RoleSessionName: 'alice' };
const TAG = { 'Tags.member.1.Key': 'team', 'Tags.member.1.Value': 'a' };

describe('a request', () => {
  test.each([
    [sts, 'GetCallerIdentity', {}],
    [sts, 'AssumeRole', { ...ROLE, ...TAG, DurationSeconds: '900', 'TransitiveTagKeys.member.1': 'team' }],
    [
      redshift,
      'GetClusterCredentials',
      { DbUser: 'bob', AutoCreate: 'true', 'DbGroups.DbGroup.1': 'a', 'DbGroups.DbGroup.2': 'b' },
    ],
    [redshift, 'GetClusterCredentials', { DbUser: 'bob', DbGroups: '' }],
    [serverless, 'GetCredentials', { workgroupName: 'reports', durationSeconds: 900 }],
  ] as [Model, string, object][])('that fits is let through: %#', (model, name, sent) => {
    expect(asked(model, name, { ...sent })).toEqual({ misfits: [], broken: [] });
  });

  test.each([
    ['an unknown field', sts, 'AssumeRole', { ...ROLE, Role: 'x' }, 'request: there is no "Role"'],
    ['a field of another case', redshift, 'DescribeClusters', { clusterIdentifier: 'c' }, 'no "clusterIdentifier"'],
    [
      'a number that is none',
      sts,
      'AssumeRole',
      { ...ROLE, DurationSeconds: '15m' },
      '"15m" where a whole number belongs',
    ],
    [
      'a flag that is none',
      redshift,
      'GetClusterCredentials',
      { DbUser: 'a', AutoCreate: 'True' },
      '"True" where true or false',
    ],
    [
      'a list under another name',
      redshift,
      'GetClusterCredentials',
      { DbUser: 'a', 'DbGroups.member.1': 'g' },
      'where DbGroup.N belongs',
    ],
    [
      'a list that begins at 0',
      sts,
      'AssumeRole',
      { ...ROLE, 'TransitiveTagKeys.member.0': 'a' },
      'where member.N belongs',
    ],
    ['a list with a gap', sts, 'AssumeRole', { ...ROLE, 'TransitiveTagKeys.member.2': 'a' }, 'a number is left out'],
    ['a list where a text belongs', sts, 'AssumeRole', { ...ROLE, 'ExternalId.member.1': 'a1' }, 'should be one value'],
    ['a text where a list belongs', sts, 'AssumeRole', { ...ROLE, Tags: 'a' }, 'where member.N belongs'],
    [
      'an unknown part of an element',
      sts,
      'AssumeRole',
      { ...ROLE, ...TAG, 'Tags.member.1.Name': 'a' },
      'request.Tags.1: there is no "Name"',
    ],
    ['an unknown member', serverless, 'GetCredentials', { workgroup: 'reports' }, 'there is no "workgroup"'],
    [
      'a text where a number belongs',
      serverless,
      'GetCredentials',
      { durationSeconds: '900' },
      '"900" where a whole number',
    ],
    ['a number where a text belongs', serverless, 'GetWorkgroup', { workgroupName: 1 }, '1 where a text belongs'],
    ['null', serverless, 'ListWorkgroups', { nextToken: null }, 'null where a text belongs'],
  ] as [string, Model, string, object, string][])('with %s is a fault', (_, model, name, sent, misfit) => {
    expect(asked(model, name, { ...sent }).misfits).toEqual([expect.stringContaining(misfit)]);
  });

  test.each([
    ['path', { target: '/sts' }, 'POST /sts where POST / belongs'],
    ['method', { method: 'PUT' }, 'PUT / where POST / belongs'],
    [
      'content type',
      { headers: JSON_1_1 },
      '"application/x-amz-json-1.1" where "application/x-www-form-urlencoded" belongs',
    ],
  ])('of another %s is a fault', (_, more, misfit) => {
    expect(asked(sts, 'GetCallerIdentity', {}, more).misfits).toEqual([expect.stringContaining(misfit)]);
  });

  test.each([
    [
      'misses what is required',
      sts,
      'AssumeRole',
      { RoleArn: ROLE.RoleArn },
      "Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null",
    ],
    [
      'is too short',
      sts,
      'AssumeRole',
      { ...ROLE, RoleSessionName: 'a' },
      "Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2",
    ],
    [
      'is too long',
      serverless,
      'GetWorkgroup',
      { workgroupName: 'a'.repeat(65) },
      'Member must have length less than or equal to 64',
    ],
    [
      'breaks a pattern',
      sts,
      'AssumeRole',
      { ...ROLE, RoleSessionName: 'me too' },
      'Member must satisfy regular expression pattern: [\\w+=,.@-]*',
    ],
    [
      'is too small',
      sts,
      'AssumeRole',
      { ...ROLE, DurationSeconds: '899' },
      'Member must have value greater than or equal to 900',
    ],
    [
      'is too large',
      sts,
      'AssumeRole',
      { ...ROLE, DurationSeconds: '43201' },
      'Member must have value less than or equal to 43200',
    ],
    [
      'is broken in a list',
      sts,
      'AssumeRole',
      { ...ROLE, 'Tags.member.1.Key': '', 'Tags.member.1.Value': 'a' },
      "at 'tags.1.member.key'",
    ],
  ] as [string, Model, string, object, string][])(
    'that %s is refused in the words of AWS',
    (_, model, name, sent, text) => {
      const { misfits, broken } = asked(model, name, { ...sent });
      expect(misfits).toEqual([]);
      expect(broken[0]?.text).toContain(text);
    },
  );
});

const ID = 'a-request';
const STS = sts.metadata.xmlNamespace!;
const REDSHIFT = redshift.metadata.xmlNamespace!;
const CREDENTIALS = {
  AccessKeyId: 'ASIA0123456789ABCDEF',
  SecretAccessKey: 's',
  SessionToken: 't',
  Expiration: new Date(0),
};
const SESSION = {
  Credentials: CREDENTIALS,
  AssumedRoleUser: { AssumedRoleId: 'AROA:me', Arn: 'arn:aws:sts::123456789012:assumed-role/reader/me' },
};
const assumed = (result: XmlValue) => queryReply(STS, 'AssumeRole', result, ID);
const clusters = (...items: XmlValue[]) =>
  queryReply(REDSHIFT, 'DescribeClusters', { Clusters: list('Cluster', items) }, ID);
const CLUSTER = {
  ClusterIdentifier: 'sales',
  Encrypted: true,
  ClusterCreateTime: new Date(0),
  Tags: list('Tag', [{ Key: 'a', Value: '<&>' }]),
};
const WORKGROUP = {
  workgroupName: 'reports',
  status: 'AVAILABLE',
  creationDate: '2026-01-01T00:00:00.000Z',
  publiclyAccessible: false,
};
const workgroups = (...all: object[]) => jsonReply({ workgroups: all }, ID);
const changed = (reply: Reply, from: string, to: string): Reply => {
  expect(reply.body).toContain(from);
  return { ...reply, body: reply.body.replace(from, to) };
};

describe('an answer', () => {
  test.each([
    [sts, 'AssumeRole', assumed(SESSION)],
    [redshift, 'DescribeClusters', clusters(CLUSTER, CLUSTER)],
    [redshift, 'DescribeClusters', clusters()],
    [iam, 'AttachRolePolicy', queryReply(iam.metadata.xmlNamespace!, 'AttachRolePolicy', undefined, ID)],
    [serverless, 'ListWorkgroups', workgroups(WORKGROUP)],
    [serverless, 'GetCredentials', jsonReply({ dbUser: 'IAM:a', dbPassword: 'p', expiration: 1.5 }, ID)],
  ] as [Model, string, Reply][])('that fits is let through: %#', (model, name, reply) => {
    expect(checkReply(model, name, reply)).toEqual([]);
  });

  test.each([
    [
      'an unknown element',
      redshift,
      'DescribeClusters',
      clusters({ ...CLUSTER, Name: 'x' }),
      'answer.Clusters.1: there is no "Name"',
    ],
    [
      'another name for an element of a list',
      redshift,
      'DescribeClusters',
      queryReply(REDSHIFT, 'DescribeClusters', { Clusters: list('member', [CLUSTER]) }, ID),
      '<member> where <Cluster> belongs',
    ],
    [
      'a flag that is none',
      redshift,
      'DescribeClusters',
      clusters({ Encrypted: 'yes' }),
      '"yes" where true or false belongs',
    ],
    [
      'a number that is none',
      redshift,
      'DescribeClusters',
      clusters({ NumberOfNodes: 1.5 }),
      '"1.5" where a whole number belongs',
    ],
    [
      'a time of another form',
      redshift,
      'DescribeClusters',
      clusters({ ClusterCreateTime: '1700000000' }),
      '"1700000000" where a time belongs',
    ],
    [
      'a text where parts belong',
      redshift,
      'DescribeClusters',
      clusters({ Endpoint: 'host:5439' }),
      'text in a structure: host:5439',
    ],
    [
      'parts where a text belongs',
      redshift,
      'DescribeClusters',
      clusters({ VpcId: { Id: 'a' } }),
      'should be one value',
    ],
    [
      'an element twice',
      redshift,
      'DescribeClusters',
      changed(clusters(CLUSTER), '<Encrypted>', '<Encrypted>true</Encrypted><Encrypted>'),
      '"Encrypted" twice',
    ],
    [
      'a missing part',
      sts,
      'AssumeRole',
      assumed({ ...SESSION, Credentials: { ...CREDENTIALS, SessionToken: undefined } }),
      "Value null at 'credentials.sessionToken'",
    ],
    [
      'a key too short',
      sts,
      'AssumeRole',
      assumed({ ...SESSION, Credentials: { ...CREDENTIALS, AccessKeyId: 'ASIA' } }),
      'length greater than or equal to 16',
    ],
    [
      'another wrapper',
      sts,
      'AssumeRole',
      changed(changed(assumed(SESSION), '<AssumeRoleResult>', '<Result>'), '</AssumeRoleResult>', '</Result>'),
      '<AssumeRoleResponse> of AssumeRoleResult, ResponseMetadata belongs',
    ],
    [
      'another root',
      sts,
      'AssumeRole',
      changed(changed(assumed(SESSION), '<AssumeRoleResponse', '<Response'), '</AssumeRoleResponse>', '</Response>'),
      '<AssumeRoleResponse> of',
    ],
    [
      'another namespace',
      sts,
      'AssumeRole',
      changed(assumed(SESSION), STS, REDSHIFT),
      `namespace ${REDSHIFT} where ${STS} belongs`,
    ],
    [
      'a result where none belongs',
      iam,
      'AttachRolePolicy',
      queryReply(iam.metadata.xmlNamespace!, 'AttachRolePolicy', {}, ID),
      '<AttachRolePolicyResponse> of ResponseMetadata belongs',
    ],
    [
      'no request id',
      sts,
      'AssumeRole',
      changed(assumed(SESSION), `<RequestId>${ID}</RequestId>`, ''),
      '<ResponseMetadata> of RequestId belongs',
    ],
    ['a bare &', redshift, 'DescribeClusters', changed(clusters(CLUSTER), '&amp;', '&'), 'a bare &'],
    [
      'an element that is not closed',
      redshift,
      'DescribeClusters',
      changed(clusters(CLUSTER), '</Cluster>', ''),
      '</Clusters> closes <Cluster>',
    ],
    ['another content type', sts, 'AssumeRole', { ...assumed(SESSION), headers: {} }, 'it is not text/xml'],
    [
      'an unknown member',
      serverless,
      'ListWorkgroups',
      workgroups({ ...WORKGROUP, name: 'x' }),
      'answer.workgroups.1: there is no "name"',
    ],
    [
      'a word that is not listed',
      serverless,
      'ListWorkgroups',
      workgroups({ ...WORKGROUP, status: 'available' }),
      'Member must satisfy enum value set: [CREATING, AVAILABLE, MODIFYING, DELETING]',
    ],
    [
      'a text where a flag belongs',
      serverless,
      'ListWorkgroups',
      workgroups({ ...WORKGROUP, publiclyAccessible: 'false' }),
      '"false" where true or false belongs',
    ],
    [
      'seconds where a date belongs',
      serverless,
      'ListWorkgroups',
      workgroups({ ...WORKGROUP, creationDate: 1 }),
      '1 where a time belongs',
    ],
    [
      'a date where seconds belong',
      serverless,
      'GetCredentials',
      jsonReply({ expiration: '2026-01-01T00:00:00Z' }, ID),
      'where seconds since 1970 belongs',
    ],
    ['null', serverless, 'GetCredentials', jsonReply({ dbUser: null }, ID), 'null where a text belongs'],
    [
      'an object where a list belongs',
      serverless,
      'ListWorkgroups',
      jsonReply({ workgroups: {} }, ID),
      '{} where a list belongs',
    ],
    ['a missing member', serverless, 'ListWorkgroups', jsonReply({}, ID), "Value null at 'workgroups'"],
    ['XML where JSON belongs', serverless, 'ListWorkgroups', assumed(SESSION), 'it is not application/x-amz-json-1.1'],
  ] as [string, Model, string, Reply, string][])('with %s is a fault', (_, model, name, reply, misfit) => {
    expect(checkReply(model, name, reply).join('\n')).toContain(misfit);
  });
});

const refused = (code: string, status: number) => queryFault(REDSHIFT, { code, message: 'no', status }, ID);
const jsonRefused = (code: string, status = 400) => jsonFault({ code, message: 'no', status }, ID);

describe('an error', () => {
  test.each([
    [redshift, 'DescribeClusters', refused('ClusterNotFound', 404)],
    [redshift, 'DescribeClusters', refused('AccessDenied', 403)],
    [redshift, 'DescribeClusters', refused('ServiceUnavailable', 503)],
    [serverless, 'GetWorkgroup', jsonRefused('ResourceNotFoundException')],
    [serverless, 'GetWorkgroup', jsonRefused('InternalServerException', 500)],
    [serverless, 'GetWorkgroup', jsonRefused('AccessDeniedException')],
  ] as [Model, string, Reply][])('that the operation has is let through: %#', (model, name, reply) => {
    expect(checkReply(model, name, reply)).toEqual([]);
  });

  test.each([
    [
      'a code that is no one’s',
      redshift,
      'DescribeClusters',
      refused('NoSuchCluster', 404),
      'does not answer with the error NoSuchCluster',
    ],
    [
      'the name that SDKs give it',
      redshift,
      'DescribeClusters',
      refused('ClusterNotFoundFault', 404),
      'error ClusterNotFoundFault',
    ],
    [
      'the code of another operation',
      redshift,
      'GetClusterCredentials',
      refused('InvalidTagFault', 400),
      'error InvalidTagFault',
    ],
    [
      'the code of another protocol',
      redshift,
      'DescribeClusters',
      refused('AccessDeniedException', 403),
      'error AccessDeniedException',
    ],
    [
      'another status',
      redshift,
      'DescribeClusters',
      refused('ClusterNotFound', 400),
      'ClusterNotFound comes with 404, not with 400',
    ],
    [
      'the blame on the other side',
      redshift,
      'DescribeClusters',
      changed(refused('ClusterNotFound', 404), 'Sender', 'Receiver'),
      'not of the Sender',
    ],
    [
      'no message',
      redshift,
      'DescribeClusters',
      changed(refused('ClusterNotFound', 404), '<Message>no</Message>', ''),
      '<Error> of Type, Code, Message belongs',
    ],
    [
      'a code that is not declared',
      serverless,
      'GetWorkgroup',
      jsonRefused('ConflictException'),
      'error ConflictException',
    ],
    [
      'a status that JSON services do not give',
      serverless,
      'GetWorkgroup',
      jsonRefused('AccessDeniedException', 403),
      'AccessDeniedException comes with 400, not with 403',
    ],
    [
      'an unknown member',
      serverless,
      'GetWorkgroup',
      changed(jsonRefused('ValidationException'), '"message":', '"reason":'),
      'ValidationException has no "reason"',
    ],
    [
      'two types',
      serverless,
      'GetWorkgroup',
      changed(jsonRefused('ValidationException'), 'ValidationException', 'ResourceNotFoundException'),
      'in the header ValidationException',
    ],
  ] as [string, Model, string, Reply, string][])('with %s is a fault', (_, model, name, reply, misfit) => {
    expect(checkReply(model, name, reply)).toEqual([expect.stringContaining(misfit)]);
  });

  test('has the status that its operation declares', () => {
    expect(statusOf(iam, 'CreatePolicyVersion', 'LimitExceeded')).toBe(409);
    expect(statusOf(iam, 'GetRole', 'LimitExceeded')).toBeUndefined();
    expect(statusOf(sts, 'NoSuchOperation', 'ClusterNotFound')).toBeUndefined();
  });
});

test.each([
  '',
  'text',
  '<a>',
  '<a></b>',
  '<a/><b/>',
  '<a>&lt</a>',
  '<a>1 < 2</a>',
  '<?xml version="1.0"?><a/>',
  '<a b=1/>',
])('XML %s is not well formed here', (text) => {
  expect(() => parseXml(text)).toThrow();
});
