/**
 * Moments: RFC 3339 text (UTC, up to nanoseconds) ↔ `google.protobuf.Timestamp`. Go's zero time, the year 1, means
 * "not set" on Teleport's wire and becomes `undefined` here (auth-grpc-and-routing.md 4.1).
 */
import { TeleportError } from '../errors.js';
import { create, type Timestamp, TimestampSchema } from './protobuf.js';

/** Seconds of 0001-01-01T00:00:00Z. */
export const GO_ZERO_SECONDS = -62135596800n;

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i;

/** @returns undefined for nothing and for Go's zero time */
export function timestampToText(time: Timestamp | undefined): string | undefined {
  if (time === undefined || time.seconds === GO_ZERO_SECONDS) return undefined;
  const date = new Date(Number(time.seconds) * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  const fraction = time.nanos > 0 ? `.${time.nanos.toString().padStart(9, '0').replace(/0+$/, '')}` : '';
  return `${date.toISOString().slice(0, 19)}${fraction}Z`;
}

/**
 * @returns undefined for nothing, an empty text and the year 1
 * @throws TeleportError `BadParameter` for anything that is not RFC 3339 text
 */
export function timestampOfText(text: string | undefined): Timestamp | undefined {
  if (text === undefined || text === '') return undefined;
  const parts = RFC3339.exec(text);
  const ms = parts === null ? Number.NaN : Date.parse(`${parts[1]!.toUpperCase()}${parts[3]!.toUpperCase()}`);
  if (Number.isNaN(ms)) {
    throw new TeleportError('BadParameter', `parsing time ${JSON.stringify(text)} as RFC 3339 failed`);
  }
  const seconds = BigInt(ms / 1000);
  if (seconds === GO_ZERO_SECONDS) return undefined;
  return create(TimestampSchema, { seconds, nanos: Number((parts![2] ?? '').padEnd(9, '0')) });
}

export function timestampOfDate(date: Date): Timestamp {
  const seconds = Math.floor(date.getTime() / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: (date.getTime() - seconds * 1000) * 1e6 });
}

/** Seconds of 10000-01-01T00:00:00Z: no moment from here on has a text in RFC 3339. */
const FIRST_SECOND_TOO_LATE = 253402300800n;

/**
 * @returns undefined for nothing and for Go's zero time
 * @throws TeleportError `BadParameter` for a moment outside the years 1 to 9999
 */
export function timestampToDate(time: Timestamp | undefined): Date | undefined {
  if (time === undefined || time.seconds === GO_ZERO_SECONDS) return undefined;
  if (time.seconds < GO_ZERO_SECONDS || time.seconds >= FIRST_SECOND_TOO_LATE) {
    throw new TeleportError('BadParameter', 'a time in the request is outside the years 1 to 9999');
  }
  return new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6));
}
