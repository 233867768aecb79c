/** What every run of the fuzzer begins with, and what it has found: read as it should be, by every target. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TARGETS } from './targets.js';

const CORPUS = 'test/fuzz/corpus';

test('every target has inputs to begin with, and no folder is without a target', () => {
  expect(readdirSync(CORPUS).sort()).toEqual(Object.keys(TARGETS).sort());
  for (const target of Object.keys(TARGETS)) expect(readdirSync(join(CORPUS, target))).not.toEqual([]);
});

test.each(Object.entries(TARGETS))('%s', (name, target) => {
  target(Buffer.alloc(0));
  for (const file of readdirSync(join(CORPUS, name))) {
    const data = readFileSync(join(CORPUS, name, file));
    target(data);
    // And what is left of it when a connection ends early.
    for (let at = 1; at < data.length; at += Math.ceil(data.length / 200)) target(data.subarray(0, at));
  }
});
