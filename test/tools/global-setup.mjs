// Before the whole suite: can this machine run the tests' servers? If not, the reason is said once and nothing runs.
// A run of some files is not held up: the first of them that needs a server says the same.
import { spawnSync } from 'node:child_process';

export default function checkServers({ nonFlagArgs, seed }) {
  if (nonFlagArgs.length > 0) return;
  console.error(`Seed:        ${seed}`); // Jest says it at the end, which a run that is cut off does not reach
  const { status } = spawnSync(process.execPath, ['test/tools/run.mjs', 'test/tools/servers.ts'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) process.exit(1);
}
