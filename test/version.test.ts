import { readFileSync } from 'node:fs';
import { VERSION } from '../src/version.js';

test('H1 the version that the programs announce is that of the package', () => {
  expect(VERSION).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
});
