/** Tests: src/api/fields.ts, src/resources/served.ts, src/resources/yaml.ts. */
import { toMessage } from '../../src/api/convert.js';
import { shapeOf } from '../../src/api/fields.js';
import { closest } from '../../src/errors.js';
import { checkServed } from '../../src/resources/served.js';
import type { AnyResource, Role } from '../../src/resources/types.js';
import { checkResource } from '../../src/resources/validate.js';
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

  test('of very many the first are named, and how many more there are', () => {
    const keys = Array.from({ length: 500 }, (_, i) => `x${i}: 1`).join(', ');
    const text = `kind: role\nmetadata: {name: r}\nspec: {${keys}}`;
    expect(() => parseResources(text, shapeOf)).toThrow(/spec\.x19\n… and 480 more$/);
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

describe('U3 a value that is no map or list where one belongs', () => {
  const of = (kind: string, rest: string) => `kind: ${kind}\nmetadata: {name: r}\n${rest}`;
  test.each<[string, string]>([
    [of('role', 'spec:\n  deny: [x]'), 'role "r", line 4: spec.deny must be a map'],
    [of('role', 'spec:\n  deny: all'), 'role "r", line 4: spec.deny must be a map'],
    [of('role', 'spec:\n  deny: true'), 'role "r", line 4: spec.deny must be a map'],
    [of('role', 'spec:\n  options: [pin_source_ip]'), 'role "r", line 4: spec.options must be a map'],
    [of('role', 'spec: {allow: "*"}'), 'spec.allow must be a map'],
    [of('role', 'spec: {deny: {db_users: x}}'), 'spec.deny.db_users must be a list'],
    [of('role', 'spec: {deny: {db_labels: [env]}}'), 'spec.deny.db_labels must be a map'],
    [of('role', 'spec: {deny: {rules: {resources: [role], verbs: [list]}}}'), 'spec.deny.rules must be a list'],
    [of('role', 'spec: {deny: {rules: [role]}}'), 'spec.deny.rules[0] must be a map'],
    [of('role', 'spec: {deny: {rules: [{resources: role}]}}'), 'spec.deny.rules[0].resources must be a list'],
    [of('user', 'spec: {roles: dba}'), 'spec.roles must be a list'],
    [of('user', 'spec: {traits: [x]}'), 'spec.traits must be a map'],
    [of('db', 'spec: {tls: insecure}'), 'spec.tls must be a map'],
    [of('db', 'spec: {aws: [x]}'), 'spec.aws must be a map'],
    [of('token', 'spec: {roles: Db}'), 'spec.roles must be a list'],
    [of('lock', 'spec: {target: alice}'), 'spec.target must be a map'],
    ['kind: db\nmetadata: {name: r, labels: [env]}', 'metadata.labels must be a map'],
  ])('%s', (text, message) => {
    expect(() => parseResources(text, shapeOf)).toThrow(message);
  });

  test('a key without a value is none of them', () => {
    const text = of('role', 'spec:\n  options:\n  allow:\n    rules:\n    db_users:\n  deny:');
    expect(parseResources(text, shapeOf)).toHaveLength(1);
  });
});

test('U3 kinds that are not written say so before any of their keys; settings of the cluster have keys of their own', () => {
  const settings = 'kind: cap\nmetadata: {name: cluster-auth-preference}\nspec: {idp: {saml: {enabled: true}}}';
  expect(parseResources(settings, shapeOf)).toHaveLength(1);
  expect(() => parseResources(settings.replace('saml', 'smal'), shapeOf)).toThrow(
    'cluster_auth_preference "cluster-auth-preference", line 3: unknown field spec.idp.smal, did you mean spec.idp.saml?',
  );
  expect(() => parseResources('kind: db_server\nspec: {quux: 1}', shapeOf)).toThrow(
    'creating resources of type "db_server" is not supported',
  );
});

describe('U3 durations of a role', () => {
  const written = (options: object) => {
    const role = {
      kind: 'role',
      version: 'v7',
      metadata: { name: 'r' },
      spec: { options, allow: {}, deny: {} },
    } as Role;
    checkResource(role);
    return toMessage('role', role).spec?.options;
  };
  test.each<[object, string]>([
    [{ client_idle_timeout: 15 }, 'role.spec.options.client_idle_timeout must be a duration like 30m0s'],
    [{ max_session_ttl: 8 }, 'role.spec.options.max_session_ttl must be a duration like 30m0s'],
    [{ client_idle_timeout: '-5m' }, 'spec.options.client_idle_timeout cannot be negative: -5m'],
    [{ max_session_ttl: '-8h' }, 'spec.options.max_session_ttl cannot be negative: -8h'],
  ])('%j is refused', (options, message) => expect(() => written(options)).toThrow(message));
  test.each<[string, bigint]>([
    ['1d', 86_400n],
    ['1d12h', 129_600n],
    ['0.5d', 43_200n],
    ['1mo', 2_592_000n],
    ['1y', 31_536_000n],
    ['2m', 120n],
  ])('%s, as Teleport reads it', (text, seconds) => {
    expect(written({ max_session_ttl: text })?.maxSessionTtl).toBe(seconds * 1_000_000_000n);
  });
  test.each<[object]>([[{ client_idle_timeout: 0 }], [{ client_idle_timeout: 'never' }], [{ max_session_ttl: '8h' }]])(
    '%j is taken',
    (options) => expect(written(options)).toBeDefined(),
  );
});

test('U3 every mistake of a resource is named at once', () => {
  const role = {
    kind: 'role',
    version: 'v7',
    metadata: { name: 'r' },
    spec: { options: { device_trust_mode: 'required', mfa_verification_interval: '1h' }, allow: {}, deny: {} },
  } as AnyResource;
  expect(() => checkServed(role)).toThrow(
    /spec\.options\.device_trust_mode is not .*\n.*spec\.options\.mfa_verification_interval is not /,
  );
});
