/** What is counted of the house, and what stands wrong: `npm run house`. Its exit status is 1 when a count is not 0. */
import { arrowsUp, circles, lostHomes, secondDoors, secondHomes, sharedNames } from '../house/checks.js';
import { longFunctions, MOST_LINES } from '../house/functions.js';
import { aimless, falseNames, untested } from '../house/tested.js';

const counts: [what: string, found: string[]][] = [
  ['circles of imports, by file', circles()],
  ['arrows that run back up', arrowsUp()],
  ['second doors', secondDoors()],
  ['second homes', [...secondHomes(), ...lostHomes()]],
  ['names with several meanings', sharedNames()],
  [`functions of more than ${MOST_LINES} lines`, longFunctions()],
  ['source files without a test', untested()],
  ['tests without a source file', [...aimless(), ...falseNames()]],
];
for (const [what, found] of counts) {
  console.log(`${String(found.length).padStart(3)}  ${what}`);
  for (const one of found) console.log(`       ${one}`);
}
process.exitCode = counts.some(([, found]) => found.length > 0) ? 1 : 0;
