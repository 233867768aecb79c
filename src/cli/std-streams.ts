/**
 * Standard output and standard error of the process, and what it means when one of them takes no more: a full disk, a
 * reader that went away, a terminal that is gone. Node's own stream for a file drops the rest of a write that the disk
 * took in part, so files are written here.
 */
import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { nodeCodeOf, systemReason, TeleportError } from '../errors.js';
import { nodeTty } from '../node-modules.js';

export type OutputName = 'stdout' | 'stderr';

const NUMBER = { stdout: 1, stderr: 2 } as const;
const CALLED = { stdout: 'standard output', stderr: 'standard error' } as const;

/** Why a program ends that cannot write. An AbortError, as every reason of `env.signal`. */
export class OutputLost extends Error {
  override readonly name = 'AbortError';
  /** As if this signal had ended it: silence, and the signal's status. Undefined: a person is to see `message`. */
  readonly signalName: 'SIGPIPE' | 'SIGHUP' | undefined;

  constructor(output: OutputName, cause: unknown, kind: Kind) {
    super(`cannot write to ${CALLED[output]}: ${systemReason(cause)}`, { cause });
    const code = nodeCodeOf(cause);
    // A program in C ends of SIGPIPE where we get EPIPE, and of SIGHUP when its terminal goes.
    if (code === 'EPIPE' || code === 'ECONNRESET') this.signalName = 'SIGPIPE';
    else if (code === 'EIO' && kind !== 'file') this.signalName = 'SIGHUP';
    else this.signalName = undefined;
  }

  /** What a person reads. */
  asError(): TeleportError {
    return new TeleportError('LimitExceeded', this.message, { cause: this });
  }
}

/**
 * The stream for one of the two. `onLost` is called each time a write fails, unless somebody else listens for errors (a
 * log that may lose lines): then only a reader that went away counts. A file takes the next write as if nothing had been.
 */
export function openStdStream(proc: NodeJS.Process, name: OutputName, onLost: (lost: OutputLost) => void): Writable {
  const fd = NUMBER[name];
  const kind = kindOf(fd);
  const stream = kind === 'other' ? proc[name] : fileStream(fd);
  return stream.on('error', (error) => {
    const lost = new OutputLost(name, error, kind);
    if (stream.listenerCount('error') === 1 || lost.signalName === 'SIGPIPE') onLost(lost);
  });
}

/** To a file and to a device (`/dev/full`, a terminal that was gone before we came) a write never has to wait. */
type Kind = 'file' | 'device' | 'other';

function kindOf(fd: number): Kind {
  try {
    const facts = fstatSync(fd);
    if (facts.isFile()) return 'file';
    return facts.isCharacterDevice() && !isTerminal(fd) ? 'device' : 'other';
  } catch {
    return 'other';
  }
}

/** Whether a person sits there. Where it is plain that nobody does, Node's part for terminals is not even read. */
export function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice() && nodeTty().isatty(fd);
  } catch {
    return false;
  }
}

function fileStream(fd: number): Writable {
  const stream: Writable = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        for (let sent = 0; sent < chunk.length; ) sent += writeSync(fd, chunk, sent);
      } catch (error) {
        // Not through `done`, which would end the stream.
        stream.emit('error', error);
      }
      done();
    },
  });
  return Object.assign(stream, { fd });
}
