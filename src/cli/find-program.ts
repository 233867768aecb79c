/** Where a program is: only PATH is searched, as Teleport's programs do. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** @returns its path, undefined when there is none */
export async function findProgram(path: string | undefined, program: string): Promise<string | undefined> {
  for (const folder of (path ?? '').split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, program);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}
