/** Moments as people type them: so long ago (`24h`, `7d`), a day (`2026-11-21`), or RFC 3339. Pure. */
import { parseDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;
const AGO = /^-?(\d+(\.\d+)?(ns|us|ms|s|mo|m|h|d|y))+$/;

/** @throws TeleportError `BadParameter` that names the flag */
export function parseMoment(text: string, flag: string, now: Date): Date {
  const at = DAY.test(text) || RFC3339.test(text) ? new Date(text) : AGO.test(text) ? ago(text, now) : undefined;
  if (at && !Number.isNaN(at.getTime())) return at;
  throw new TeleportError('BadParameter', `${flag}: ${JSON.stringify(text)} is not a moment`, {
    hint: 'Write 24h or 7d (so long ago), 2026-11-21 (UTC) or 2026-11-21T10:00:00Z.',
  });
}

const ago = (text: string, now: Date) => new Date(now.getTime() - Math.abs(parseDurationMs(text)));
