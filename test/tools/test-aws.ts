/** `npm run test:aws`. */
import { testAccount } from './account.js';

process.exitCode = await testAccount(process.env, console.log);
