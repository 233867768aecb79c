/** Renewals go on whatever the clock does. The clock is given; the looks are a few milliseconds apart. */
import { silent } from '../src/log.js';
import { Renewal } from '../src/renewal.js';
import { until } from './support/until.js';

const YEAR = 365 * 86_400_000;

test('X2 a clock that was a year ahead, and failed then, does not end the renewals', async () => {
  let ahead = YEAR;
  let attempts = 0;
  const renewal = new Renewal({
    what: 'a certificate',
    dueAt: () => new Date(0),
    renew: async () => {
      attempts += 1;
      if (ahead > 0) throw new Error('certificate has expired');
    },
    now: () => new Date(Date.now() + ahead),
    log: silent,
    everyMs: 2,
  });
  await until('a renewal has failed', async () => attempts > 0 || undefined);
  ahead = 0;
  const failed = attempts;
  await until('it is tried again', async () => attempts > failed || undefined);
  await renewal.close();
});

test('what is not due is left alone, until it is said that something has changed and is due', async () => {
  let due = new Date(Date.now() + YEAR);
  let attempts = 0;
  const renewal = new Renewal({
    what: 'a certificate',
    dueAt: () => due,
    renew: async () => {
      attempts += 1;
    },
    now: () => new Date(),
    log: silent,
  });
  renewal.hurry();
  expect(attempts).toBe(0);
  due = new Date(0);
  renewal.hurry();
  expect(attempts).toBe(1);
  await renewal.close();
});
