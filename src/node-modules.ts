/** Modules of Node's that are needed seldom, but at once: read when they are asked for, so that no start waits for them. */
import { createRequire } from 'node:module';

// Any path will do for Node's own modules, and this one is there in every format that a test bundles.
const require = createRequire(process.execPath);

export function nodeTty(): typeof import('node:tty') {
  return require('node:tty');
}

export function nodeUtil(): typeof import('node:util') {
  return require('node:util');
}

export function nodeV8(): typeof import('node:v8') {
  return require('node:v8');
}
