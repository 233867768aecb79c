/** Starts a PostgreSQL as the tests and the demo do, and stops it. Ends with 1 and the reason where that is not possible. */
import { startPostgres } from '../support/postgres.js';

try {
  await (await startPostgres()).stop();
} catch (error) {
  console.error(
    `No test has run, because PostgreSQL does not start on this machine.\n${error instanceof Error ? error.message : error}`,
  );
  process.exitCode = 1;
}
