/** The section `discovery_service`. Source: database-service.md 7.1. */
import { type AwsMatcher, discoveryMatchers } from '../cloud/matchers.js';
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';
import { LONGEST_TIMER_MS } from '../wait.js';
import { awsMatchers } from './config-databases.js';

export interface DiscoveryConfig {
  matchers: AwsMatcher[];
  group: string;
  intervalMs?: number;
}

/** AWS limits how often it may be asked. Our own limit. */
const SHORTEST_INTERVAL_MS = 10_000;

/** @throws BadParameter for a matcher that finds nothing, when there is none, and for an interval that is none */
export function discoveryConfig(section: NonNullable<TeleportFile['discovery_service']>): DiscoveryConfig {
  const { discovery_group: group = '', poll_interval: interval, aws } = section;
  const matchers = discoveryMatchers(awsMatchers(aws));
  if (matchers.length === 0) {
    throw new TeleportError('BadParameter', 'discovery_service: there is nothing to look for', {
      hint: 'Name types and regions under discovery_service.aws, as docs/databases.md shows.',
    });
  }
  return { matchers, group, ...(interval ? { intervalMs: pollInterval(interval) } : {}) };
}

function pollInterval(text: string): number {
  const ms = goDurationMs(text);
  if (ms !== undefined && ms >= SHORTEST_INTERVAL_MS && ms <= LONGEST_TIMER_MS) return ms;
  throw new TeleportError(
    'BadParameter',
    `discovery_service.poll_interval: ${JSON.stringify(text)} is not an interval`,
    { hint: 'Write it as 5m or 1h, at least 10s and at most 24 days.' },
  );
}
