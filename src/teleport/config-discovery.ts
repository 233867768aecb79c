/** The section `discovery_service`. Source: database-service.md 7.1. */
import { type AwsMatcher, discoveryMatchers } from '../cloud/matchers.js';
import { goDurationMs, invalidDuration } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';
import { awsMatchers } from './config-databases.js';

export interface DiscoveryConfig {
  matchers: AwsMatcher[];
  group: string;
  intervalMs?: number;
}

/** AWS limits how often it may be asked. Our own limit. */
const SHORTEST_INTERVAL_MS = 10_000;

/** @throws BadParameter for a matcher that finds nothing, and when there is none */
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
  if (ms === undefined) throw invalidDuration(text);
  if (ms >= SHORTEST_INTERVAL_MS) return ms;
  throw new TeleportError('BadParameter', 'discovery_service: poll_interval must be at least 10s');
}
