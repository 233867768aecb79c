import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { sessionNameOf } from '../../src/aws/session-name.js';
import { brokenRules, MODELS } from '../support/aws/model.js';

const long = `${'a'.repeat(60)}@example.com`;
test.each([
  ['alice', 'alice'],
  ['alice@example.com', 'alice@example.com'],
  ['Alice Ö. / x', 'Alice--.---x'],
  ['x', 'x-'],
  ['a'.repeat(64), 'a'.repeat(64)],
  [long, `${'a'.repeat(47)}-${createHash('sha1').update(long).digest('hex').slice(0, 16)}`],
])('%s', (user, name) => {
  expect(sessionNameOf(user)).toBe(name);
  expect(brokenRules(MODELS.sts, { shape: 'roleSessionNameType' }, name)).toEqual([]);
});
