/**
 * Records that Auth does not take: they are set aside, one line a record with the reason, so that those behind them travel
 * on. An administrator finds out why and removes the file. The folder is bounded: what does not fit stays in the spool.
 */
import { appendFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { auditFileError } from './line-file.js';
import { recordText } from './record-text.js';

export class RefusedRecords {
  readonly dir: string;
  readonly #maxBytes: number;
  readonly #now: () => Date;
  /** Since the start. */
  count = 0;

  constructor(dir: string, maxBytes: number, now: () => Date) {
    this.dir = dir;
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /** @throws TeleportError when it cannot be kept */
  async add(record: string, reason: unknown): Promise<void> {
    const time = this.#now().toISOString();
    const line = `${recordText({ time, reason: messageOf(reason), record })}\n`;
    try {
      await makeFolders(this.dir, 0o700);
      const used = readdirSync(this.dir).reduce((sum, name) => sum + statSync(join(this.dir, name)).size, 0);
      if (used + line.length > this.#maxBytes) {
        throw new TeleportError('LimitExceeded', `${this.dir} is full (${this.#maxBytes} bytes)`, {
          hint: `Find out why Auth refused the records in ${this.dir}, then remove its files.`,
        });
      }
      appendFileSync(join(this.dir, `${time.slice(0, 10)}.log`), line, { mode: 0o600, flush: true });
    } catch (cause) {
      throw cause instanceof TeleportError ? cause : auditFileError(this.dir, cause);
    }
    this.count += 1;
  }
}
