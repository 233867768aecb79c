/** Opening a web page for the person at this machine. */
import { messageOf } from '../errors.js';
import type { Env } from './env.js';
import { findProgram } from './find-program.js';

/** What opens a page, by platform; the desktop's own program. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['rundll32.exe', 'url.dll,FileProtocolHandler'],
};
const OTHER_OPENER: readonly string[] = ['xdg-open'];

/**
 * Start the program that opens a page and leave it to itself; where there is none, nothing happens.
 *
 * @returns why it could not be started, undefined otherwise
 */
export async function openBrowser(env: Env, url: string): Promise<string | undefined> {
  const [program, ...args] = OPENERS[env.platform] ?? OTHER_OPENER;
  const file = await findProgram(env.vars.PATH, program!);
  if (file === undefined) return undefined;
  const { spawn } = await import('node:child_process');
  return await new Promise((resolve) => {
    const child = spawn(file, [...args, url], { stdio: 'ignore', detached: true, env: env.vars });
    child.once('error', (error) => resolve(messageOf(error)));
    child.once('spawn', () => {
      child.unref();
      resolve(undefined);
    });
  });
}
