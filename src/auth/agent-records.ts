/**
 * Audit records as an agent sends them, held against what Auth knows of the agent. Each stands for itself: one that is
 * refused is named in the answer, so that the agent sets it aside, and the others are recorded.
 */
import { AUDIT_EVENTS } from '../audit/events.js';
import { isTooLong, recordText, TOO_LONG } from '../audit/record-text.js';
import type { WrittenRecord } from '../audit/writer.js';
import { TeleportError } from '../errors.js';
import { asAscii, escaped } from '../escaped.js';
import { Slices } from '../slices.js';

export interface Teller {
  /** Of the certificate that delivers the records. */
  hostId: string;
  clusterName: string;
}

export interface Refused {
  /** Place in the request. */
  index: number;
  uid: string;
  reason: string;
}

/** Events an agent may report: those of sessions it carried. Anything else would let it write other people's history. */
const AGENT_EVENTS = /^(db\.session\.|client\.disconnect$)/;
/** Of one call. A record has some 300 bytes at least, and an agent sends 512 KiB. */
export const MOST_IN_CALL = 4096;
const LONGEST_UID = 100;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** @throws TeleportError `BadParameter` for too many */
export async function sortRecords(
  texts: readonly string[],
  teller: Teller,
): Promise<{ taken: WrittenRecord[]; refused: Refused[] }> {
  if (texts.length > MOST_IN_CALL) {
    throw new TeleportError(
      'BadParameter',
      `${texts.length} audit records in one call, and ${MOST_IN_CALL} are the most`,
    );
  }
  const slices = new Slices();
  const taken: WrittenRecord[] = [];
  const refused: Refused[] = [];
  for (const [index, text] of texts.entries()) {
    await slices.next();
    const record = isTooLong(text) ? undefined : membersOf(text);
    const uid = typeof record?.uid === 'string' ? record.uid.slice(0, LONGEST_UID) : '';
    // A text without a chain is written anew, and may be six times as long then.
    const written = record && record.prev === undefined ? recordText(record) : text;
    const reason = isTooLong(written) ? TOO_LONG : record ? reasonAgainst(record, text, teller) : NO_OBJECT;
    if (reason === undefined) taken.push({ uid, text: written });
    else refused.push({ index, uid, reason });
  }
  return { taken, refused };
}

function membersOf(text: string): Record<string, unknown> | undefined {
  try {
    const record = JSON.parse(text) as unknown;
    if (typeof record === 'object' && record !== null && !Array.isArray(record)) return { ...record };
  } catch {
    // Said by the caller.
  }
  return undefined;
}

const NO_OBJECT = 'it is not a JSON object';

/** Why the record is not believed, if it is not. */
function reasonAgainst(
  record: Record<string, unknown>,
  text: string,
  { hostId, clusterName }: Teller,
): string | undefined {
  const { event, code, uid, time, server_id: serverId, cluster_name: cluster, prev } = record;
  if (typeof uid !== 'string' || uid === '' || uid.length > LONGEST_UID) return 'it has no uid';
  if (typeof event !== 'string' || !AGENT_EVENTS.test(event)) return 'an agent has no such event';
  const known: { ok?: string; failed?: string } | undefined = Object.hasOwn(AUDIT_EVENTS, event)
    ? AUDIT_EVENTS[event as keyof typeof AUDIT_EVENTS]
    : undefined;
  if (known && code !== known.ok && code !== known.failed) return `${event} has not this code`;
  if (typeof time !== 'string' || !MOMENT.test(time)) return 'it has no time';
  if (serverId !== undefined && serverId !== hostId) return 'its server_id is that of another host';
  if (cluster !== undefined && cluster !== clusterName) return 'its cluster_name is that of another cluster';
  if (Object.hasOwn(record, 'auth')) return 'it says what only Auth can say';
  if (prev !== undefined && !isInForm(text, record)) return 'it is not in the form of audit records';
  return undefined;
}

/**
 * A text with a chain is kept letter for letter; with members twice, or another spelling, readers would differ about it. An
 * agent of another version may escape more than this one.
 */
function isInForm(text: string, record: object): boolean {
  if (text === recordText(record)) return true;
  return text === escaped(text) && asAscii(text) === asAscii(JSON.stringify(record));
}
