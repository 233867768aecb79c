/** What a bulk copy leaves behind is collected young; what that is worth is measured by `npm run bench`. */
import { execFile } from 'node:child_process';
import { constants } from 'node:perf_hooks';
import { promisify } from 'node:util';

test('N5 every 16 MiB the young generation is collected, and nothing else', async () => {
  // A fresh process: where V8 is already marking a large heap, such as Jest's, it makes a major collection of a minor one.
  const args = ['test/tools/run.mjs', 'test/net/young-buffers.child.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(JSON.parse(stdout)).toEqual({ few: [], many: Array(4).fill(constants.NODE_PERFORMANCE_GC_MINOR) });
});
