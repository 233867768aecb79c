/** Lengths of time and moments as Go prints and reads them. Pure. Spec: Go's `time.Duration.String` and RFC 3339. */

const UNIT_MS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `43200000` → `12h0m0s`; `90500` → `1m30.5s`; `250` → `250ms`; `0` → `0s`. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  const sign = ms < 0 ? '-' : '';
  const abs = Math.abs(ms);
  if (abs < 1000) return abs < 1 ? `${sign}${Math.round(abs * 1000)}µs` : `${sign}${trim(abs)}ms`;
  const hours = Math.floor(abs / 3_600_000);
  const minutes = Math.floor(abs / 60_000) % 60;
  const seconds = trim((abs % 60_000) / 1000);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

/** The same without zero units: `12h`, `1h30m`, `1h`. */
export function shortDurationText(ms: number): string {
  const text = durationText(ms).replace(/m0s$/, 'm').replace(/h0m$/, 'h');
  return text.replace(/h0m(?=\d)/, 'h');
}

/** `1h30m`, `1.5h`, `250ms`, `-5s`, `0` → milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[-+]/, '');
  if (body === '0') return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(body)) return undefined;
  let total = 0;
  for (const [, number, unit] of body.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g))
    total += Number(number) * UNIT_MS[unit!]!;
  return sign * total;
}

/** A moment in RFC 3339, UTC, no fraction that is zero: `2026-01-02T03:04:05Z`, `2026-01-02T03:04:05.67Z`. */
export function timeText(at: Date): string {
  return at.toISOString().replace(/\.?0*Z$/, 'Z');
}

function trim(value: number): string {
  return value.toFixed(6).replace(/\.?0+$/, '');
}
