/**
 * The one door to other programs: execa starts each of them, and is loaded when the first is started. A child sees the
 * variables that it is given and no others.
 */
import type { ChildProcess } from 'node:child_process';
import type { Options } from 'execa';

export type Variables = Record<string, string | undefined>;

export interface ChildOptions extends Omit<Options, 'env' | 'extendEnv' | 'reject'> {
  /** All that it sees. */
  env: Variables;
}

export interface ChildEnd {
  /** Undefined when a signal ended it. */
  exitCode?: number;
  signal?: NodeJS.Signals;
  stdout?: unknown;
  stderr?: unknown;
}

export interface StartedChild {
  child: Omit<ChildProcess, 'stdin' | 'stdout' | 'stderr' | 'stdio'>;
  /** Resolves however it ends. */
  end: Promise<ChildEnd>;
}

/** @throws what Node says when it cannot be started; the reason of `cancelSignal` when that is aborted before */
export async function startChild(
  file: string,
  args: readonly string[],
  { env, ...options }: ChildOptions,
): Promise<StartedChild> {
  const { execa } = await import('execa');
  options.cancelSignal?.throwIfAborted();
  const child = execa(file, args, {
    ...options,
    env: env as Record<string, string>,
    extendEnv: false,
    reject: false,
  });
  // One that could not be started has no number, and the reason is its end.
  if (child.pid === undefined) throw (await child).cause;
  return { child, end: child };
}

/** What every program of the desktop needs: the session, its bus and display, the person, where programs and libraries are. */
const DESKTOP =
  /^(?:DBUS_.*|XDG_.*|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|HOME|USER|LOGNAME|PATH|LANG|LC_.*|LD_LIBRARY_PATH|TMPDIR|USERPROFILE|APPDATA|LOCALAPPDATA|SYSTEMROOT|WINDIR|TEMP|TMP)$/i;

/** What a program of the desktop sees: that, and what it needs besides. Tokens and passwords stay behind. */
export function desktopVariables(vars: Variables, besides?: RegExp): Variables {
  return Object.fromEntries(Object.entries(vars).filter(([name]) => DESKTOP.test(name) || besides?.test(name)));
}
