/** Records as a spool takes and ships them. */
import type { RecordOwner } from '../../src/audit/shares.js';
import type { Ship } from '../../src/audit/shipper.js';
import type { AuditSpool } from '../../src/audit/spool.js';

export interface TestRecord {
  n?: number;
  text?: string;
  user?: string;
  isEnd?: boolean;
}

/** Write one record a line; resolves when they are durable. */
export async function append(spool: AuditSpool, ...records: TestRecord[]): Promise<void> {
  const { user = 'alice', isEnd = false } = records[0] ?? {};
  const owner: RecordOwner = { user, isEnd };
  await spool.write(records.map((record) => `${JSON.stringify(record)}\n`).join(''), owner);
}

/** What was shipped. */
export const numbers = (lines: string[]) => lines.map((line) => (JSON.parse(line) as { n: number }).n);

/** An Auth that takes every record. */
export const taking =
  (see: (lines: string[], signal: AbortSignal) => unknown = () => {}): Ship =>
  async (lines, signal) => {
    await see(lines, signal);
    return [];
  };
