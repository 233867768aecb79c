import { SoleWatches } from '../../src/auth/sole-watches.js';

test('R-A-M3 a new watch ends the one before, and no other', () => {
  const watches = new SoleWatches();
  const gone = new AbortController();
  const [first, other] = [watches.begin('a', gone.signal), watches.begin('b', gone.signal)];
  const second = watches.begin('a', gone.signal);
  expect([first, other, second].map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
  expect(first.signal.reason).toMatchObject({ message: 'another watch has taken the place of this one' });
  // The end of the first one gives nobody else's place away.
  first[Symbol.dispose]();
  const third = watches.begin('a', gone.signal);
  expect(second.signal.aborted).toBe(true);
  gone.abort();
  expect([other.signal.aborted, third.signal.aborted]).toEqual([true, true]);
  expect(watches.begin('c', gone.signal).signal.aborted).toBe(true);
});
