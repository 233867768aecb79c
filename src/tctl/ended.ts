/** Resources whose time is over when they are written: they are taken, are gone at once or count for nothing, and nobody would know. */
import type { Env } from '../cli/env.js';
import { printWarning } from '../cli/output.js';
import type { AnyResource } from '../resources/types.js';

/** How the zero time of Go begins, which means none. */
const NO_TIME = '0001-';

export function warnEnded(env: Env, { kind, metadata, spec }: AnyResource): void {
  const ends = { 'metadata.expires': metadata.expires, 'spec.expires': (spec as { expires?: unknown }).expires };
  for (const [path, end] of Object.entries(ends)) {
    if (typeof end !== 'string' || end.startsWith(NO_TIME) || !(Date.parse(end) <= env.now().getTime())) continue;
    printWarning(env, `${kind} "${metadata.name}": ${path} ${end} has passed, so it has no effect`);
  }
}
