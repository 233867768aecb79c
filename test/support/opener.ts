/** A stand-in for the desktop's program that opens pages. */
import { chmodSync, existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Put a program of this name into a folder.
 *
 * @returns its arguments and its environment, once it has been called
 */
export function placeOpener(folder: string, name: string): Promise<{ args: string; env: string }> {
  const out = join(folder, `${name}-called`);
  mkdirSync(out, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\nenv > ${out}/env\necho "$@" > ${out}/new && mv ${out}/new ${out}/args\n`);
  chmodSync(file, 0o755);
  return new Promise((resolve) => {
    const watcher = watch(out, () => {
      if (!existsSync(join(out, 'args'))) return;
      watcher.close();
      resolve({
        args: readFileSync(join(out, 'args'), 'utf8').trim(),
        env: readFileSync(join(out, 'env'), 'utf8'),
      });
    });
  });
}
