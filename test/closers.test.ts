import { Closers } from '../src/closers.js';

test('what was opened is closed once, the last first, each knowing how long it may take', async () => {
  const closers = new Closers();
  const closed: string[] = [];
  for (const name of ['first', 'second']) {
    expect(closers.keep({ name, close: ({ drainMs }) => closed.push(`${name} ${drainMs}`) }).name).toBe(name);
  }
  await Promise.all([closers.close(7), closers.close(9)]);
  expect(closed).toEqual(['second 7', 'first 7']);
});

test('one that fails does not keep the others open; the first failure is thrown', async () => {
  const closers = new Closers();
  const closed: string[] = [];
  closers.keep({ close: () => closed.push('first') });
  closers.keep({ close: () => Promise.reject(new Error('second')) });
  closers.keep({
    close: () => {
      throw new Error('third');
    },
  });
  await expect(closers.close()).rejects.toThrow('third');
  expect(closed).toEqual(['first']);
});
