/**
 * One line per event on stderr, in Teleport's text form (time, level, component, message, fields) or as a JSON object.
 * Knows which field names are secret and never prints their values.
 */
import { escaped } from './escaped.js';
import { redactText, redactValue } from './redact.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = 'text' | 'json';
export type LogFields = Record<string, unknown>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same sink under another component name, shown as `[NAME]`. */
  child(component: string): Logger;
}

export interface LogOptions {
  component: string;
  level: LogLevel;
  /** Default `text`. */
  format?: LogFormat;
  /** Takes whole lines. */
  write: (line: string) => void;
  now?: () => Date;
}

const SECRET = /pass(word)?$|token|secret|key$|credential|otp/i;

export function createLogger({ component, level, format = 'text', write, now }: LogOptions): Logger {
  const least = LOG_LEVELS.indexOf(level);
  const at = (lvl: LogLevel) => (message: string, fields?: LogFields) => {
    if (LOG_LEVELS.indexOf(lvl) < least) return;
    const time = (now?.() ?? new Date()).toISOString();
    if (format === 'json')
      return write(escaped(jsonLine({ timestamp: time, level: lvl, component, message: redactText(message) }, fields)));
    const name = `[${component}]`.padEnd(11);
    const tail = fields
      ? Object.entries(fields).map(
          ([k, v]) => ` ${k}:${v instanceof Error ? JSON.stringify(safe(k, v)) : text(safe(k, v))}`,
        )
      : [];
    write(escaped(`${time} ${lvl.toUpperCase().padEnd(4)} ${name} ${redactText(message)}${tail.join('')}\n`));
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (name) => createLogger({ component: name, level, format, write, ...(now ? { now } : {}) }),
  };
}

/** A logger that says nothing. */
export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Says that something has begun to fail, again every minute while it lasts, and once that it works: not at every event. */
export interface Alarm {
  failed(error: unknown): void;
  worked(): void;
  /** Whether the last call failed. */
  readonly isOn: boolean;
}

const ALARM_REPEAT_MS = 60_000;

/**
 * @param texts.failing  logged as an error, with the reason
 * @param texts.working  logged when the first call after it succeeds
 */
export function createAlarm(log: Logger, texts: { failing: string; working: string }): Alarm {
  let saidAt: number | undefined;
  return {
    failed(error) {
      const now = performance.now();
      if (saidAt !== undefined && now - saidAt < ALARM_REPEAT_MS) return;
      saidAt = now;
      log.error(texts.failing, { error });
    },
    get isOn() {
      return saidAt !== undefined;
    },
    worked() {
      if (saidAt === undefined) return;
      saidAt = undefined;
      log.info(texts.working);
    },
  };
}

/** The fixed members first; a field of the same name gets an underscore. */
function jsonLine(fixed: Record<string, unknown>, fields: LogFields = {}): string {
  const line = { ...fixed };
  for (const [key, value] of Object.entries(fields)) {
    line[key in fixed ? `${key}_` : key] = safe(key, value);
  }
  return `${JSON.stringify(line)}\n`;
}

/** A field's value without secrets. */
function safe(key: string, value: unknown): unknown {
  if (SECRET.test(key)) return '***';
  const plain = value instanceof Error ? value.message : value;
  if (typeof plain === 'string') return /ur[il]$/i.test(key) ? redactValue(plain) : redactText(plain);
  if (typeof plain !== 'object' || plain === null) return plain;
  return JSON.parse(
    JSON.stringify(plain, (name, part) => (name === '' ? part : typeof part === 'object' ? part : safe(name, part))),
  );
}

function text(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? String(value);
}
