/** Opening a web page for the person at this machine. */
import { desktopVariables, startChild } from '../child-process.js';
import { messageOf } from '../errors.js';
import type { Env } from './env.js';
import { findProgram } from './find-program.js';

/** What opens a page, by platform; the desktop's own program. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['rundll32.exe', 'url.dll,FileProtocolHandler'],
};
const OTHER_OPENER: readonly string[] = ['xdg-open'];

/** What a browser reads besides: which one it is, how the desktop looks, where Windows has programs, the way to the internet. */
const BROWSER =
  /^(?:BROWSER|SHELL|TZ|LANGUAGE|DESKTOP_.*|SESSION_MANAGER|XMODIFIERS|(?:GNOME|KDE|MATE|GTK|GDK|QT|MOZ|FONTCONFIG)_.*|WSL.*|(?:https?|ftp|all|no)_proxy|(?:COMMON)?PROGRAM.*|SYSTEMDRIVE|HOMEDRIVE|HOMEPATH|PATHEXT|COMSPEC|ALLUSERSPROFILE|PUBLIC|USERNAME|USERDOMAIN)$/i;

/**
 * Start the program that opens a page and leave it to itself; where there is none, nothing happens. It may be the one that
 * starts the browser, which then lives for days: so it sees no secret of the environment.
 *
 * @returns why it could not be started, undefined otherwise
 */
export async function openBrowser(env: Env, url: string): Promise<string | undefined> {
  const [program, ...args] = OPENERS[env.platform] ?? OTHER_OPENER;
  const file = await findProgram(env.vars.PATH, program!);
  if (file === undefined) return undefined;
  try {
    const { child } = await startChild(file, [...args, url], {
      env: desktopVariables(env.vars, BROWSER),
      stdio: 'ignore',
      detached: true,
    });
    child.unref();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
