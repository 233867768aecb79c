/** The process that holds keytar, not for people: `src/profile/keychain-process.ts` starts it. */
import { start } from './start.js';

start('keychain-child', () => import('../src/profile/keychain-child.js'));
