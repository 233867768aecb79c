import { CALLS, CHANGES, LeafLimits } from '../../src/auth/leaf-limits.js';

test('R-A-M3 a leaf has so many calls, and ten changes of its authority an hour; another has its own', () => {
  let now = 0;
  const limits = new LeafLimits(() => now);
  for (let at = 0; at < CALLS.burst; at++) limits.called('leaf');
  expect(() => limits.called('leaf')).toThrow('rate limit exceeded');
  limits.called('other');
  for (let at = 0; at < CHANGES.burst; at++) limits.changed('leaf');
  expect(() => limits.changed('leaf')).toThrow('rate limit exceeded');
  limits.changed('other');
  now += 3_601_000;
  for (let at = 0; at < 10; at++) limits.changed('leaf');
  expect(() => limits.changed('leaf')).toThrow('rate limit exceeded');
});
