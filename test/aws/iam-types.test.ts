import { IAM_TYPES, pageSpelling, parseIamTypes } from '../../src/aws/iam-types.js';

test('types in either spelling and any case, in one order, each once', () => {
  expect(parseIamTypes(['redshift-serverless,documentdb', 'redshift', ' docdb ', ''])).toEqual([
    'redshift',
    'redshift-serverless',
    'docdb',
  ]);
  expect(parseIamTypes(['Keyspaces,rds-proxy'])).toEqual(['rdsproxy', 'keyspace']);
  expect(parseIamTypes(IAM_TYPES.map(pageSpelling))).toEqual(IAM_TYPES);
  expect(parseIamTypes(IAM_TYPES)).toEqual(IAM_TYPES);
});

test.each([
  ['foo', ''],
  ['redshit', ', did you mean "redshift"?'],
  ['documentdbs', ', did you mean "documentdb"?'],
])('%s is refused', (name, meant) => {
  expect(() => parseIamTypes([`rds,${name}`])).toThrow(
    `--types "${name}" not supported. supported types are: ${IAM_TYPES.join(', ')}${meant}`,
  );
});
