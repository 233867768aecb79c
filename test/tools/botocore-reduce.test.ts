import { expect, test } from '@jest/globals';
import { type Model, reduce, reducePartitions, writeModel, writePartitions } from './botocore-reduce.js';

const FULL: Model = {
  metadata: { apiVersion: '2020-01-01', protocol: 'query', serviceFullName: 'A', uid: 'a', auth: ['sigv4'] },
  operations: {
    Get: {
      name: 'Get',
      input: { shape: 'In', documentation: 'prose' },
      output: { shape: 'Out', resultWrapper: 'GetResult' },
      errors: [{ shape: 'Gone', documentation: 'prose' }],
      documentation: 'prose',
      documentationUrl: 'url',
    },
    Put: { name: 'Put', input: { shape: 'Unused' } },
  },
  shapes: {
    In: {
      type: 'structure',
      members: { documentation: { shape: 'Text', documentation: 'prose' } },
      documentation: 'p',
    },
    Out: { type: 'structure', members: { sensitive: { shape: 'Texts', locationName: 's' } } },
    Texts: { type: 'list', member: { shape: 'Text', documentation: 'prose' } },
    Text: { type: 'string', min: 1, sensitive: true },
    Gone: { type: 'structure', members: {}, exception: true },
    Unused: { type: 'structure', members: {} },
  },
};

test('a model keeps what the wanted operations reach, every member of that, and no prose', () => {
  const reduced = reduce(FULL, ['Get']);
  expect(reduced).toEqual({
    metadata: { apiVersion: '2020-01-01', protocol: 'query', serviceFullName: 'A' },
    operations: {
      Get: {
        name: 'Get',
        input: { shape: 'In' },
        output: { shape: 'Out', resultWrapper: 'GetResult' },
        errors: [{ shape: 'Gone' }],
      },
    },
    shapes: {
      Gone: { type: 'structure', members: {}, exception: true },
      In: { type: 'structure', members: { documentation: { shape: 'Text' } } },
      Out: { type: 'structure', members: { sensitive: { shape: 'Texts', locationName: 's' } } },
      Text: { type: 'string', min: 1 },
      Texts: { type: 'list', member: { shape: 'Text' } },
    },
  });
  expect(JSON.parse(writeModel(reduced))).toMatchObject(reduced);
});

test('an operation that is not there is named', () => {
  expect(() => reduce(FULL, ['Delete'])).toThrow('A has no operation Delete');
});

test('a partition keeps its names and the regions that have Redshift, without endpoints that are no region', () => {
  const outputs = { name: 'aws', dnsSuffix: 'a.com', dualStackDnsSuffix: 'api.aws', supportsFIPS: true };
  const regions = { 'b-1': { description: 'prose' }, 'a-1': {}, 'c-1': {} };
  const [aws, alone] = [
    { id: 'aws', regionRegex: '^\\w-1$', outputs, regions },
    { id: 'alone', regionRegex: 'x', outputs, regions: {} },
  ];
  const services = { redshift: { endpoints: { 'c-1': {}, 'a-1': {}, 'fips-a-1': {} } } };
  const reduced = reducePartitions({ partitions: [aws, alone] }, { partitions: [{ partition: 'aws', services }] });
  const common = { dnsSuffix: 'a.com', dualStackDnsSuffix: 'api.aws', 'redshift-serverless': [] };
  expect(reduced).toEqual([
    { ...common, id: 'aws', regionRegex: '^\\w-1$', regions: ['a-1', 'b-1', 'c-1'], redshift: ['a-1', 'c-1'] },
    { ...common, id: 'alone', regionRegex: 'x', regions: [], redshift: [] },
  ]);
  expect(JSON.parse(writePartitions(reduced))).toMatchObject({ partitions: reduced });
});
