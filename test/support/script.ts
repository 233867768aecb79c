/** A TypeScript text run in a process of its own, which may be killed or limited. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

export interface RunningScript {
  child: ChildProcess;
  /** Lines of its standard output. */
  lines: Interface;
  /** Its end: status or signal, and what it wrote to standard error. */
  ended: Promise<{ status: number | null; signal: NodeJS.Signals | null; stderr: string }>;
}

/** @param dir  takes the bundle */
export async function runScript(dir: string, contents: string, args: readonly string[] = []): Promise<RunningScript> {
  const outfile = join(dir, 'script.cjs');
  await build({
    stdin: { contents, resolveDir: resolve('.'), loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['libsql', '@node-rs/argon2'],
    supported: { 'dynamic-import': false },
    // As if the script stood in this folder: packages are found from there.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(resolve('script.cjs')).href) },
    outfile,
  });
  const child = spawn(process.execPath, [outfile, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_PATH: resolve('node_modules') },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([status, signal]) => ({
    status: status as number | null,
    signal: signal as NodeJS.Signals | null,
    stderr,
  }));
  return { child, lines: createInterface({ input: child.stdout }), ended };
}
