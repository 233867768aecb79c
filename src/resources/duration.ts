/**
 * Durations as Go writes and reads them: `30h0m0s`, `1m0s`, `1.5s`, `300ms`, `0s`; read also `4d`. Inside the house a duration is a
 * number of milliseconds; on Teleport's wire it is a number of nanoseconds, which is why both are here.
 */
import { TeleportError } from '../errors.js';

const NANOS = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  // Teleport's own, in resources: days, months of 30 days, years of 365.
  d: 86_400_000_000_000n,
  mo: 2_592_000_000_000_000n,
  y: 31_536_000_000_000_000n,
} as const;

const MAX_NANOS = 2n ** 63n - 1n;
const TERM = /(\d{1,19})?(?:\.(\d{0,19}))?(ns|us|µs|μs|ms|mo|s|m|h|d|y)/y;

/**
 * Nanoseconds of a Go duration text, with days (`d`), months (`mo`) and years (`y`) as in Teleport's resources.
 *
 * @throws TeleportError `BadParameter` `time: invalid duration "x"`, in Go's words
 */
export function parseDurationNanos(text: string): bigint {
  const unsigned = text.replace(/^[+-]/, '');
  if (unsigned === '0') return 0n;
  let nanos = 0n;
  let position = 0;
  while (position < unsigned.length) {
    TERM.lastIndex = position;
    const term = TERM.exec(unsigned);
    if (term === null || (term[1] === undefined && !term[2])) throw invalid(text);
    const unit = NANOS[term[3] as keyof typeof NANOS];
    const fraction = term[2] ?? '';
    nanos += BigInt(term[1] ?? 0) * unit + (BigInt(fraction || 0) * unit) / 10n ** BigInt(fraction.length);
    if (nanos > MAX_NANOS) throw invalid(text);
    position = TERM.lastIndex;
  }
  if (unsigned === '') throw invalid(text);
  return text.startsWith('-') ? -nanos : nanos;
}

/** Milliseconds of a Go duration text, fractions of one included. */
export function parseDurationMs(text: string): number {
  return Number(parseDurationNanos(text)) / 1e6;
}

/** Go's `Duration.String()`. */
export function formatDurationNanos(nanos: bigint): string {
  if (nanos < 0n) return `-${formatDurationNanos(-nanos)}`;
  if (nanos === 0n) return '0s';
  if (nanos < NANOS.us) return `${nanos}ns`;
  if (nanos < NANOS.ms) return `${decimal(nanos, NANOS.us)}µs`;
  if (nanos < NANOS.s) return `${decimal(nanos, NANOS.ms)}ms`;
  const hours = nanos / NANOS.h;
  const minutes = (nanos % NANOS.h) / NANOS.m;
  const seconds = `${decimal(nanos % NANOS.m, NANOS.s)}s`;
  if (hours > 0n) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0n ? `${minutes}m${seconds}` : seconds;
}

export function formatDurationMs(ms: number): string {
  return formatDurationNanos(BigInt(Math.round(ms * 1e6)));
}

function decimal(nanos: bigint, unit: bigint): string {
  const rest = (nanos % unit)
    .toString()
    .padStart(unit.toString().length - 1, '0')
    .replace(/0+$/, '');
  return rest === '' ? `${nanos / unit}` : `${nanos / unit}.${rest}`;
}

function invalid(text: string): TeleportError {
  return new TeleportError('BadParameter', `time: invalid duration ${JSON.stringify(text)}`);
}
