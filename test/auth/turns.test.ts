import { expect, test } from '@jest/globals';
import { inTurn } from '../../src/auth/turns.js';

test('work of one line runs one after the other, also behind one that fails; another line does not wait', async () => {
  const turns = new Map<string, Promise<unknown>>();
  const seen: string[] = [];
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = inTurn(turns, 'a', async () => {
    await gate;
    seen.push('first');
    throw new Error('broken');
  });
  const second = inTurn(turns, 'a', async () => void seen.push('second'));
  await inTurn(turns, 'b', async () => void seen.push('other'));
  open();
  await expect(first).rejects.toThrow('broken');
  await second;
  expect(seen).toEqual(['other', 'first', 'second']);
  expect(turns.size).toBe(0);
});
