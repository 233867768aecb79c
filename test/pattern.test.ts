/**
 * X8: patterns meet text that somebody else wrote, and take time in proportion to it.
 * Tests: src/glob.ts
 */
import fc from 'fast-check';
import { selectedBy } from '../src/db/resource-matcher.js';
import { isTeleportError } from '../src/errors.js';
import { fitsGlob } from '../src/glob.js';
import { isPattern, MAX_PATTERN_CHARS, MAX_REPETITIONS, Pattern, patternOf } from '../src/pattern.js';
import { checkDatabaseAccess } from '../src/rbac/check.js';
import { evaluateLabelExpression } from '../src/rbac/expression.js';
import { matchesLabels, matchesValue } from '../src/rbac/labels.js';
import { matchesDatabase } from '../src/rbac/match.js';
import { expandValue } from '../src/rbac/templates.js';
import { checkServed } from '../src/resources/served.js';
import type { Database, Role } from '../src/resources/types.js';

const GLOB = '*a*a*a*a*a*a*b';
const NESTED = '^(a+)+(a|a)*$';
const LETTERS = 'a'.repeat(75);
const MANY = 'a'.repeat(20_000);

function database(labels: Record<string, string>): Database {
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', labels },
    spec: { protocol: 'postgres', uri: 'h:1' },
  };
}

function role(allow: object, deny: object = {}): Role {
  return { kind: 'role', version: 'v7', metadata: { name: 'r' }, spec: { options: {}, allow, deny } } as Role;
}

/** Far above what it takes, a tenth of a second, and far below what backtracking takes: hours to years. */
function quickly<T>(work: () => T): T {
  const began = performance.now();
  const result = work();
  expect(performance.now() - began).toBeLessThan(30_000);
  return result;
}

describe('X8 a pattern that would hang JavaScript does not hang us', () => {
  test.each([
    [GLOB, LETTERS],
    [GLOB, MANY],
    [`${'*a'.repeat(500)}b`, MANY],
    [`*${'a'.repeat(500)}b*`, MANY],
    [NESTED, `${LETTERS}!`],
    ['^(a|aa)+$', `${MANY}!`],
    ['^(.*)*x$', MANY],
    [`^${'a?'.repeat(100)}${'a'.repeat(100)}$`, LETTERS],
  ])("%s as a role's label, a deny, a matcher of an agent", (pattern, value) => {
    quickly(() => {
      expect(matchesValue(pattern, value)).toBe(false);
      expect(matchesLabels({ k: pattern }, { k: value })).toBe(false);
      expect(selectedBy(database({ k: value }), [{ labels: { k: pattern } }])).toBeUndefined();
      const roles = [
        role(
          { db_labels: { '*': '*' }, db_users: ['*'], db_names: ['*'] },
          { db_users: [pattern], db_names: [pattern] },
        ),
      ];
      // Refused or not is not the question here: a deny also knows the cut spelling of a long name.
      try {
        checkDatabaseAccess({
          username: 'alice',
          roles,
          traits: {},
          database: database({ k: value }),
          dbUser: value,
          dbName: value,
          mfaVerified: false,
        });
      } catch (error) {
        if (!isTeleportError(error, 'AccessDenied')) throw error;
      }
    });
  });

  test('in label expressions and templates', () => {
    const input = { labels: { k: `${MANY}!` }, traits: { t: [`${MANY}!`] } };
    quickly(() => {
      expect(evaluateLabelExpression(`regexp.match(labels["k"], "${NESTED}")`, input)).toBe(false);
      expect(evaluateLabelExpression(`contains(labels_matching("${GLOB}"), "x")`, input)).toBe(false);
      expect(evaluateLabelExpression(`contains(regexp.replace(labels["k"], "${NESTED}", "x"), "x")`, input)).toBe(
        false,
      );
      expect(expandValue(`{{regexp.replace(external.t, "${NESTED}", "x")}}`, input.traits)).toEqual([]);
      expect(expandValue(`${'{{'.repeat(500_000)}`, {})).toEqual([]);
    });
  });
});

describe('a glob', () => {
  test('fits as the regular expression of the same meaning does', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '.'), maxLength: 12 });
    const globs = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 8 });
    fc.assert(
      fc.property(globs, letters, (glob, text) => {
        const source = (single: string) =>
          `^${glob.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', single)}$`;
        expect(fitsGlob(glob, text)).toBe(new RegExp(source('\\?'), 's').test(text));
        expect(fitsGlob(glob, text, { single: '?' })).toBe(new RegExp(source('.'), 's').test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['*', '', true],
    ['a*a', 'a', false],
    ['*ab*', 'aab', true],
    ['*aab*', 'aaab', true],
    ['a', 'aa', false],
  ])('%s against %j: %s', (glob, text, expected) => expect(fitsGlob(glob, text)).toBe(expected));
});

describe('a regular expression is RE2, as in Teleport', () => {
  test.each(['^(?=a)a$', '^(a)\\1$', '^a{1001}$', '^[$', '^((((a{10}){10}){10}){10})$'])('%s is none', (source) => {
    expect(isPattern(source)).toBe(false);
    expect(() => new Pattern(source)).toThrow(
      /^(invalid regular expression "|a regular expression that asks for 100+1? )/,
    );
  });

  test.each([
    ['^(?i)ab$', 'AB', true],
    ['^\\pL+$', 'äß', true],
    ['^[[:alpha:]]+$', 'abc', true],
    ['^a$', 'a\n', false],
    ['^\\d$', '٣', false],
  ])('%s against %j: %s', (source, text, expected) => expect(patternOf(source).test(text)).toBe(expected));

  test.each([
    ['(a)(b)?', 'xabxa', `[$1-\${2}-$$]`, 'x[a-b-$]x[a--$]'],
    ['(?P<first>\\w+)@.*', 'alice@example.com', `$first/\${first}/$none`, 'alice/alice/'],
    ['a', 'aa', '$1x$0', 'aa'],
    ['x*', 'ab', '-', '-a-b-'],
  ])('replace(%j, %j, %j)', (source, text, replacement, expected) =>
    expect(new Pattern(source).replace(text, replacement)).toBe(expected),
  );

  test('one that is too long is refused', () =>
    expect(() => new Pattern('a'.repeat(MAX_PATTERN_CHARS + 1))).toThrow(
      `a regular expression of more than ${MAX_PATTERN_CHARS} characters`,
    ));
});

describe('A-M7 counted repetitions have a bound', () => {
  test.each([
    ['^a{0,900}a{0,900}a{0,900}$', 2_700],
    ['a{0,999}'.repeat(110), 109_890],
    ['^a{257}$', 257],
    ['^a{256,}$', 257],
    ['^(a{20}){20}$', 400],
    ['^((a|b{3}){10}c){10}$', 410],
    ['^(?:[a-z]{100}\\.){3}$', 303],
    ['^[^\\]a]{128}[]b]{129}$', 257],
    ['^[[:alpha:]]{128}\\({129}$', 257],
    ['^\\Qa{999}\\E{300}$', 300],
    ['^(a{10}){9}+(b{10}){20}$', 290],
    [`^(?P<x>(?i)${'a?'.repeat(100)}){3}$`, 300],
  ])('%s asks for %i and is refused', (source, repetitions) => {
    expect(() => new Pattern(source)).toThrow(
      `a regular expression that asks for ${repetitions} counted repetitions, more than ${MAX_REPETITIONS}`,
    );
    const labels = { db_labels: { k: source.replace(/^\^?/, '^').replace(/\$?$/, '$') } };
    for (const one of [role(labels), role({}, labels)]) {
      expect(() => checkServed(one)).toThrow(`asks for ${repetitions} counted repetitions`);
    }
  });

  test.each([
    ['^[a-z]{1,63}$', 'abc', true],
    ['^[a-z0-9]{1,63}(?:\\.[a-z0-9]{1,63}){0,3}$', 'a.b.c', false],
    ['^(?:\\d{1,3}\\.){3}\\d{1,3}$', '10.0.0.1', true],
    ['^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$', '6e6c2c6e-0000-4000-8000-000000000001', true],
    ['^arn:aws:iam::\\d{12}:.*$', 'arn:aws:iam::123456789012:role/x', true],
    ['^[{(]{2}\\{999\\}$', '{({999}', true],
    ['^\\Q{999}\\E$', '{999}', true],
    ['^a{x,999}$', 'a{x,999}', true],
    ['^\\x{3b1}{2}\\x{999}$', '\u03b1\u03b1\u0999', true],
    ['^\\p{Greek}{2}\\pL{2}$', '\u03b1\u03b1ab', true],
    ['^[a{900}]{2}$', '{9', true],
    ['^a{256}$', 'a'.repeat(256), true],
  ])('%s is none of them', (source, text, fits) => {
    if (fits) expect(patternOf(source).test(text)).toBe(true);
    else expect(() => patternOf(source)).not.toThrow();
  });
});

describe('a deny whose pattern cannot be read', () => {
  test('of an older store denies all, and an allow allows nothing', () => {
    for (const unreadable of ['^(?!a).*$', '^[$', `*${'a'.repeat(MAX_PATTERN_CHARS)}`]) {
      expect(matchesDatabase({ db_labels: { k: unreadable } }, database({ k: 'v' }), 'deny')).toBe(true);
      expect(matchesDatabase({ db_labels: { k: unreadable } }, database({ k: 'v' }), 'allow')).toBe(false);
    }
  });

  test.each([{ db_users: ['^(?!a).*$'] }, { db_labels: { k: ['x', '^(?!a).*$'] } }])('%j is not taken', (deny) =>
    expect(() => checkServed(role({}, deny))).toThrow('"^(?!a).*$" is not a regular expression as RE2 reads it'),
  );
});
