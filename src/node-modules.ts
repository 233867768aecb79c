/** Modules of Node's that are needed seldom, but at once: read when they are asked for, so that no start waits for them. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export function nodeTty(): typeof import('node:tty') {
  return require('node:tty');
}

export function nodeUtil(): typeof import('node:util') {
  return require('node:util');
}
