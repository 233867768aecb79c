/**
 * Where `teleport start` writes its log: standard error, standard output or a file that is appended to. A file is opened
 * again on SIGHUP, so that one that was moved away by log rotation is let go.
 *
 * Source: Teleport 18 configuration reference, `teleport.log.output`.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { messageOf, TeleportError } from '../errors.js';

export interface LogOutput {
  /** Whole lines; a line that the file does not take goes to standard error, and what that does not take is lost. */
  write(line: string): void;
  /** Open the file again by its name; the old one stays when that fails. @throws BadParameter */
  reopen(): void;
  close(): void;
}

/** @throws NotImplemented for `syslog` */
export function checkLogOutput(output: string): void {
  if (output !== 'syslog' && !output.startsWith('syslog:')) return;
  throw new TeleportError('NotImplemented', 'log.output: syslog is not supported', {
    hint: 'Use stderr (systemd keeps it), stdout, or the path of a file.',
  });
}

/**
 * @param output  `stderr`, `stdout` or a path; a new file is 0600
 * @throws BadParameter when the file cannot be opened, NotImplemented for `syslog`
 */
export function openLogOutput(output: string, streams: { stdout: Writable; stderr: Writable }): LogOutput {
  // A full disk or a terminal that is gone costs lines of the log, not the services.
  for (const stream of [streams.stdout, streams.stderr]) stream.on('error', () => {});
  const toStream = (stream: Writable): LogOutput => ({
    write: (line) => void stream.write(line),
    reopen() {},
    close() {},
  });
  if (['stderr', 'error', '2'].includes(output)) return toStream(streams.stderr);
  if (['stdout', 'out', '1'].includes(output)) return toStream(streams.stdout);
  checkLogOutput(output);
  let file: number | undefined = openFile(output);
  /** The file ends within a line, because the disk was full. */
  let torn = false;
  return {
    write(line) {
      try {
        if (file === undefined) throw new Error('closed');
        const bytes = Buffer.from(torn ? `\n${line}` : line);
        for (let sent = 0; sent < bytes.length; torn = sent < bytes.length)
          sent += writeSync(file, bytes, sent, bytes.length - sent);
      } catch {
        streams.stderr.write(line);
      }
    },
    reopen() {
      const next = openFile(output);
      const last = file;
      file = next;
      torn = false;
      if (last !== undefined) closeSync(last);
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (cause) {
    throw new TeleportError('BadParameter', `log.output: cannot open ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'Choose a file that this user may write, or stderr.',
    });
  }
}
