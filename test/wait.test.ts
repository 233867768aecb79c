import { expect, test } from '@jest/globals';
import { inTime, pause, rest, settledWithin, unlessAborted } from '../src/wait.js';

test('a pause ends with its time, or with the signal and its reason', async () => {
  const stop = new AbortController();
  await pause(1, stop.signal);
  const long = pause(60_000, stop.signal);
  const reason = new Error('Ctrl-C');
  stop.abort(reason);
  await expect(long).rejects.toBe(reason);
  await expect(pause(60_000, stop.signal)).rejects.toBe(reason);
});

test('H1 waiting for something ends with it, with the time or with the signal', async () => {
  const never = new Promise<never>(() => {});
  const late = () => new Error('late');
  expect(await inTime(Promise.resolve(7), 60_000, late)).toBe(7);
  await expect(inTime(Promise.reject(new Error('own')), 60_000, late)).rejects.toThrow('own');
  await expect(inTime(never, 1, late)).rejects.toThrow('late');
  const stop = new AbortController();
  const reason = new Error('stopped');
  const waits = [inTime(never, 60_000, late, stop.signal), unlessAborted(stop.signal, never)];
  const quiet = [rest(60_000, stop.signal), settledWithin(never, 60_000, stop.signal)];
  stop.abort(reason);
  for (const wait of waits) await expect(wait).rejects.toBe(reason);
  await Promise.all(quiet);
  await rest(60_000, stop.signal);
  await expect(inTime(never, 60_000, late, stop.signal)).rejects.toBe(reason);
});

test('H1 waiting for the end of something says nothing of how it ended', async () => {
  await settledWithin(Promise.reject(new Error('own')), 60_000);
  await settledWithin(new Promise(() => {}), 1);
  await rest(1);
});
