/**
 * Durations and moments as Go writes and reads them: `30h0m0s`, `1.5s`, `300ms`, `0s`; in resources also `4d`. Inside the house a
 * duration is a number of milliseconds; on Teleport's wire it is a number of nanoseconds, which is why both are here. Pure.
 *
 * Source: Go's `time.ParseDuration` and `Duration.String`; RFC 3339; Teleport's `api/types/duration.go`.
 */
import { TeleportError } from './errors.js';

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
// \u00b5 is the micro sign, \u03bc the Greek letter: the built programs are ASCII.
const TERM = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|mo|s|m|h|d|y)/y;
/** Longer texts of digits are cut or refused before they become numbers. */
const MAX_DIGITS = 19;

/**
 * Nanoseconds of a Go duration text, with days (`d`), months (`mo`) and years (`y`) as in Teleport's resources.
 *
 * @throws TeleportError `BadParameter` `time: invalid duration "x"`, in Go's words, also for more than 64 bits of nanoseconds
 */
export function parseDurationNanos(text: string): bigint {
  const unsigned = text.replace(/^[+-]/, '');
  const isNegative = text.startsWith('-');
  if (unsigned === '0') return 0n;
  if (unsigned === '') throw invalidDuration(text);
  let nanos = 0n;
  for (let position = 0; position < unsigned.length; position = TERM.lastIndex) {
    TERM.lastIndex = position;
    const [, digits, decimals = '', name] = TERM.exec(unsigned) ?? [];
    const whole = digits?.replace(/^0+(?=\d)/, '');
    if (whole === undefined || whole + decimals === '' || whole.length > MAX_DIGITS) throw invalidDuration(text);
    const unit = NANOS[name as keyof typeof NANOS];
    const fraction = decimals.slice(0, MAX_DIGITS);
    nanos += BigInt(whole) * unit + (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    if (nanos > MAX_NANOS + (isNegative ? 1n : 0n)) throw invalidDuration(text);
  }
  return isNegative ? -nanos : nanos;
}

/** Milliseconds of a Go duration text, fractions of one included. */
export function parseDurationMs(text: string): number {
  return Number(parseDurationNanos(text)) / 1e6;
}

/** The same with Go's own units only, for command lines and the configuration; undefined for what is not a duration. */
export function goDurationMs(text: string): number | undefined {
  if (/\d(?:d|mo|y)/.test(text)) return undefined;
  try {
    return parseDurationMs(text);
  } catch {
    return undefined;
  }
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

/** `43200000` → `12h0m0s`; `90500` → `1m30.5s`; `250` → `250ms`; `0.5` → `500µs`. */
export function formatDurationMs(ms: number): string {
  const whole = Math.trunc(ms);
  return formatDurationNanos(BigInt(whole) * NANOS.ms + BigInt(Math.round((ms - whole) * 1e6)));
}

/** The same without zero units: `12h`, `1h30m`, `1h1s`. */
export function shortDurationText(ms: number): string {
  return formatDurationMs(ms)
    .replace(/m0s$/, 'm')
    .replace(/h0m(?=\d|$)/, 'h');
}

/** A moment in RFC 3339, UTC, no fraction that is zero: `2026-01-02T03:04:05Z`, `2026-01-02T03:04:05.67Z`. */
export function timeText(at: Date): string {
  return at.toISOString().replace(/\.?0*Z$/, 'Z');
}

function decimal(nanos: bigint, unit: bigint): string {
  const rest = (nanos % unit)
    .toString()
    .padStart(unit.toString().length - 1, '0')
    .replace(/0+$/, '');
  return rest === '' ? `${nanos / unit}` : `${nanos / unit}.${rest}`;
}

/** In Go's words. */
export function invalidDuration(text: string): TeleportError {
  return new TeleportError('BadParameter', `time: invalid duration ${JSON.stringify(text)}`);
}

/** A duration of a message, nanoseconds as Go counts them. */
export function nanosOfMs(ms: number): bigint {
  return BigInt(Math.round(ms)) * NANOS.ms;
}

export function msOfNanos(nanos: bigint): number {
  return Number(nanos / NANOS.ms);
}
