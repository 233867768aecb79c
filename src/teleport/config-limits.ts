/** The section `teleport.connection_limits`. Names: Teleport 18 configuration reference. */
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { ConnectionLimits } from '../net/crowd.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';

type LimitsSection = NonNullable<NonNullable<TeleportFile['teleport']>['connection_limits']>;

/** Largest number in this section, and longest period. */
const MOST = 1_000_000;
const LONGEST_PERIOD_MS = 24 * 60 * 60_000;

/** @throws BadParameter naming a number that cannot be a limit */
export function connectionLimits({ max_connections: most, rates = [] }: LimitsSection): ConnectionLimits {
  return {
    // 0 is Teleport's word for its default.
    ...(most ? { maxConnections: counted(most, 'max_connections') } : {}),
    ...(rates.length > 0 ? { rates: rates.map(rateOf) } : {}),
  };
}

function rateOf(rate: NonNullable<LimitsSection['rates']>[number], at: number) {
  const path = `rates[${at}]`;
  const { period = '', average = 0, burst = 0 } = rate;
  const ms = goDurationMs(period) ?? 0;
  if (ms < 1 || ms > LONGEST_PERIOD_MS) {
    throw new TeleportError(
      'BadParameter',
      `teleport.connection_limits.${path}.period: "${period}" is not a period of 1ms to 24h`,
      { hint: 'Write it as 1s or 1m.' },
    );
  }
  return {
    perMinute: (counted(average, `${path}.average`) * 60_000) / ms,
    burst: counted(burst, `${path}.burst`),
  };
}

function counted(value: number, path: string): number {
  if (value >= 1 && value <= MOST) return value;
  throw new TeleportError(
    'BadParameter',
    `teleport.connection_limits.${path}: ${value} is not a number from 1 to ${MOST}`,
  );
}
