import { expect, test } from '@jest/globals';
import { parseMoment } from '../../src/cli/moment.js';

const now = new Date('2026-11-21T12:00:00Z');

test.each([
  ['24h', '2026-11-20T12:00:00.000Z'],
  ['-24h', '2026-11-20T12:00:00.000Z'],
  ['7d', '2026-11-14T12:00:00.000Z'],
  ['1h30m', '2026-11-21T10:30:00.000Z'],
  ['2026-11-01', '2026-11-01T00:00:00.000Z'],
  ['2026-11-01T10:00:00+02:00', '2026-11-01T08:00:00.000Z'],
  ['2026-11-01T10:00Z', '2026-11-01T10:00:00.000Z'],
])('%s is %s', (text, moment) => {
  expect(parseMoment(text, '--from', now).toISOString()).toBe(moment);
});

test.each(['', 'yesterday', '24', 'h', '2026-13-01', '2026-11-01T10:00:00', '1e9h', `${'9'.repeat(30)}d`])(
  '%j is refused',
  (text) => {
    expect(() => parseMoment(text, '--from', now)).toThrow(/--from|invalid duration/);
  },
);
