/** `npm run test:changed [-- COMMIT]`. */
import { main } from './changed.js';

process.exitCode = main(process.argv.slice(2));
