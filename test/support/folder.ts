/** A folder for each test of a file, made before it and gone after it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';

/** @param taken  called with its path before each test */
export function useFolder(prefix: string, taken: (path: string) => void): void {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), prefix));
    taken(path);
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));
}
