/** Moments as people type them: so long ago (`24h`, `7d`), a day (`2026-11-21`), or RFC 3339. Pure. */
import { parseDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** @throws TeleportError `BadParameter` that names the flag */
export function parseMoment(text: string, flag: string, now: Date): Date {
  const at = DAY.test(text) || RFC3339.test(text) ? new Date(text) : ago(text, now);
  if (at && !Number.isNaN(at.getTime())) return at;
  throw new TeleportError('BadParameter', `${flag}: ${JSON.stringify(text)} is not a moment`, {
    hint: 'Write 24h or 7d (so long ago), 2026-11-21 (UTC) or 2026-11-21T10:00:00Z.',
  });
}

function ago(text: string, now: Date): Date | undefined {
  try {
    return new Date(now.getTime() - Math.abs(parseDurationMs(text)));
  } catch {
    // Said by the caller, with the name of the flag.
    return undefined;
  }
}
