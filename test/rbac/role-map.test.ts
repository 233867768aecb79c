import { describe, expect, test } from '@jest/globals';
import { checkRoleMap, fixedRoles, mapRoles } from '../../src/rbac/role-map.js';

describe('roles of a root become roles of the leaf', () => {
  const cases: [what: string, remote: string, local: string[], given: string[], expected: string[]][] = [
    ['by name', 'dev', ['leaf-dev'], ['dev'], ['leaf-dev']],
    ['another name is not it', 'dev', ['leaf-dev'], ['devs', 'a.dev'], []],
    ['a glob', 'dev-*', ['leaf-dev'], ['dev-eu', 'ops'], ['leaf-dev']],
    ['what a glob matched', 'dev-*', ['leaf-$1'], ['dev-eu', 'dev-us'], ['leaf-eu', 'leaf-us']],
    ['an expression with a group', '^(\\w+)-admin$', ['$1-reader'], ['sales-admin'], ['sales-reader']],
    ['an expression is of the whole name', '^dev|ops$', ['x'], ['developer', 'devops'], []],
    ['everybody', '*', ['guest'], ['anything'], ['guest']],
    ['everybody, also without roles', '*', ['guest'], [], ['guest']],
    ['a dot is a dot', 'a.b', ['x'], ['axb'], []],
    ['a group that there is not is no role', 'dev', ['$2'], ['dev'], []],
    ['each once', 'dev*', ['a', 'b'], ['dev1', 'dev2'], ['a', 'b']],
  ];
  test.each(cases)('%s', (_, remote, local, given, expected) => {
    expect(mapRoles([{ remote, local }], given)).toEqual(expected);
  });

  test('R-A-H4 a user of another cluster has so many roles', () => {
    const roles = Array.from({ length: 257 }, (_, at) => `r${at}`);
    expect(mapRoles([{ remote: 'r1', local: ['a'] }], roles.slice(1))).toEqual(['a']);
    expect(() => mapRoles([{ remote: 'r1', local: ['a'] }], roles)).toThrow('257 roles of a user of another cluster');
  });

  test('several mappings, and one of an older store that cannot be read maps nothing', () => {
    const map = [
      { remote: '^($', local: ['broken'] },
      { remote: 'dev', local: ['a'] },
      { remote: 'ops', local: ['b'] },
    ];
    expect(mapRoles(map, ['ops', 'dev'])).toEqual(['a', 'b']);
  });
});

test('a map that can map nothing, or everything to everything, is refused', () => {
  const refusal = (remote: string, local: string[]) => () => checkRoleMap([{ remote, local }]);
  expect(refusal('', ['a'])).toThrow("missing 'remote' parameter for role_map");
  expect(refusal('dev', [])).toThrow("missing 'local' parameter for 'role_map'");
  expect(refusal('dev', ['*'])).toThrow("wildcard value is not supported for 'local' property of 'role_map' entry");
  expect(refusal('^($', ['a'])).toThrow('"^($" in role_map is not a regular expression');
  const twice = { remote: 'dev', local: ['a'] };
  expect(() => checkRoleMap([twice, twice])).toThrow("remote role 'dev' match is already specified");
  expect(refusal('dev-*', ['leaf-$1'])).not.toThrow();
});

test('names that must be there are those without a group', () => {
  expect(fixedRoles({ remote: '*', local: ['a', 'b-$1'] })).toEqual(['a']);
});
