/** The programs that `npm run test:peers` brings, run as processes. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const BIN = resolve('node_modules/.cache/teleshift/peers/bin');
const JARS = resolve('node_modules/.cache/teleshift/peers-java');
const DEADLINE_MS = 60_000;

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Where a program is. @throws Error that says how it comes */
export function peer(name: string): string {
  const file = join(BIN, name);
  if (existsSync(file)) return file;
  throw new Error(`${name} is not there: these tests are run by "npm run test:peers"`);
}

/** Where a Java archive is. @throws Error that says how it comes */
export function jar(name: string): string {
  const file = readdirSync(JARS).find((one) => one.startsWith(`${name}-`) && one.endsWith('.jar'));
  if (file) return join(JARS, file);
  throw new Error(`${name} is not there: these tests are run by "npm run test:peers"`);
}

/** A program to its end. */
export async function run(
  file: string,
  args: string[],
  vars: Record<string, string | undefined>,
  input = '',
): Promise<Ended> {
  const child = spawn(file, args, { env: vars, stdio: ['pipe', 'pipe', 'pipe'], timeout: DEADLINE_MS });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => {}).end(input);
  const status = await new Promise<number | null>((done, failed) => {
    child.once('close', done).once('error', failed);
  });
  return { status, stdout, stderr };
}

/** What Amazon's driver is to do on one connection; the verbs are those of `driver.py`. */
export type DriverStep =
  | ['execute', string, unknown[]?]
  | ['many', string, unknown[][]]
  | ['autocommit', boolean]
  | ['commit' | 'rollback'];

export interface DriverAnswer {
  /** One for each step: rows, a count, or an error as the server told it. */
  results: unknown[];
  /** Why there was no connection. */
  error: { type: string; text: string } | null;
}

/** Amazon's Python driver in a process of its own. @param how  arguments of `redshift_connector.connect` */
export async function driver(
  how: Record<string, unknown>,
  steps: readonly DriverStep[],
  vars: Record<string, string | undefined>,
): Promise<DriverAnswer> {
  const script = resolve('test/peers/driver.py');
  const { status, stdout, stderr } = await run(peer('python'), [script], vars, JSON.stringify({ connect: how, steps }));
  if (status !== 0) throw new Error(`driver.py ended with ${status}: ${stderr}`);
  return JSON.parse(stdout);
}
