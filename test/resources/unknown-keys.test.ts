import { shapeOf } from '../../src/api/fields.js';
import { closest } from '../../src/errors.js';
import { checkServed } from '../../src/resources/served.js';
import type { AnyResource } from '../../src/resources/types.js';
import { parseResources } from '../../src/resources/yaml.js';

describe('U3 did you mean', () => {
  const words = ['db_users', 'db_names', 'db_labels', 'rules', 'deny', 'uri'];
  test.each<[string, string | undefined]>([
    ['db_usres', 'db_users'],
    ['DB_Users', 'db_users'],
    ['dbusers', 'db_users'],
    ['db_name', 'db_names'],
    ['rule', 'rules'],
    ['dney', 'deny'],
    ['url', 'uri'],
    ['x', undefined],
    ['somewhere', undefined],
    ['d'.repeat(10_000), undefined],
  ])('%s: %s', (word, expected) => expect(closest(word, words)).toBe(expected));
});

describe('U3 unknown keys in files', () => {
  test.each<[string, string]>([
    ['JSON', '{"kind":"role","metadata":{"name":"r"},"spec":{\n"alow":{}}}'],
    ['a JSON list', '[{"kind":"role","metadata":{"name":"r"},\n"spec":{"alow":{}}}]'],
    ['an alias', 'kind: role\nmetadata: &x {name: r}\nspec: {alow: *x}'],
    ['a merge', 'kind: role\nmetadata: {name: r}\nspec:\n  <<: {alow: {}}\n'],
  ])('are found in %s', (_what, text) => {
    expect(() => parseResources(text, shapeOf)).toThrow(
      /role "r".*: unknown field spec\.alow, did you mean spec\.allow\?/,
    );
  });

  test('a key that an older tctl get printed is none of them', () => {
    expect(parseResources('kind: role\nmetadata: {name: r, id: 1671}\nspec: {}', shapeOf)).toHaveLength(1);
  });

  test('an alias that grows without end is an error like any other', () => {
    const bomb = [
      'a: &a [x]',
      ...'bcdefghi'.split('').map((c, at) => `${c}: &${c} [${`*${'abcdefgh'[at]},`.repeat(9)}]`),
    ];
    expect(() => parseResources(`kind: role\n${bomb.join('\n')}`, shapeOf)).toThrow('error converting YAML to JSON');
  });
});

test('U3 every mistake of a resource is named at once', () => {
  const role = {
    kind: 'role',
    version: 'v7',
    metadata: { name: 'r' },
    spec: { options: { lock: 'strict', create_db_user: true }, allow: {}, deny: {} },
  } as AnyResource;
  expect(() => checkServed(role)).toThrow(/spec\.options\.create_db_user is not .*\n.*spec\.options\.lock is not /);
});
