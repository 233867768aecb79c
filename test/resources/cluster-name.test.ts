import { expect, test } from '@jest/globals';
import { checkClusterName, isClusterName } from '../../src/resources/cluster-name.js';

test('R-A-H1 names of clusters are letters, digits, ".", "_" and "-"', () => {
  const good = ['root.example.com', 'prod', 'a', '0', 'Main_2', 'my-laptop.local', 'x'.repeat(128)];
  expect(good.filter((name) => !isClusterName(name))).toEqual([]);
  const bad = [
    '',
    'our leaf',
    'a,b',
    '*',
    '.',
    '..',
    'a..b',
    '-a',
    'a.',
    'x\u001b[2Jy',
    'a/b',
    'é',
    'x'.repeat(129),
    'a\n',
  ];
  expect(bad.filter(isClusterName)).toEqual([]);
  expect(() => checkClusterName('our leaf', 'auth_service.cluster_name')).toThrow(
    'auth_service.cluster_name: "our leaf" cannot be the name of a cluster',
  );
});
