import { expect, test } from '@jest/globals';
import { pause } from '../../src/net/deadline.js';

test('a pause ends with its time, or with the signal and its reason', async () => {
  const stop = new AbortController();
  await pause(1, stop.signal);
  const long = pause(60_000, stop.signal);
  const reason = new Error('Ctrl-C');
  stop.abort(reason);
  await expect(long).rejects.toBe(reason);
  await expect(pause(60_000, stop.signal)).rejects.toBe(reason);
});
