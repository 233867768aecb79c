/** Node's warning of a leak would fail the run: test/tools/jest.mjs. */
import { expect, test } from '@jest/globals';
import { abortForMany } from '../src/abort.js';
import { unlessAborted } from '../src/wait.js';

test('F1 many wait for one signal, and Node takes none of them for a leak', async () => {
  const stop = abortForMany();
  const waits = Array.from({ length: 100 }, () => unlessAborted(stop.signal, new Promise(() => {})));
  stop.abort(new Error('over'));
  for (const wait of waits) await expect(wait).rejects.toThrow('over');
});
