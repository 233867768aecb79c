/**
 * What `db_service.aws` and `discovery_service.aws` ask to be found: types of databases in regions of AWS, by their tags.
 *
 * Source: database-service.md 7.1.
 */
import { isAccountId, parseRoleArn } from '../aws/arn.js';
import { isRegion } from '../aws/partitions.js';
import { TeleportError } from '../errors.js';
import type { LabelSelector } from '../resources/types.js';

export interface AwsMatcher {
  types: string[];
  regions: string[];
  /** On the labels of what was found. */
  tags?: LabelSelector;
  /** Role for looking and, later, for entering the database. */
  assume_role_arn?: string;
  external_id?: string;
  integration?: string;
}

export const SERVED = ['redshift', 'redshift-serverless'] as const;
const DATABASES = [
  'rds',
  'rdsproxy',
  ...SERVED,
  'elasticache',
  'elasticache-serverless',
  'memorydb',
  'opensearch',
  'docdb',
] as const;
/** What the Discovery Service of Teleport finds besides. */
const OTHERS = ['ec2', 'eks'] as const;
/** Types of which people enter as IAM roles, which take an external id of their own. */
const ROLES_AS_USERS = new Set(['redshift-serverless', 'opensearch', 'docdb']);

/** @throws BadParameter for a matcher of `db_service` that finds nothing, NotImplemented for an integration */
export function checkMatchers(matchers: readonly AwsMatcher[]): void {
  for (const matcher of matchers) {
    checkMatcher('db_service', matcher);
    if (matcher.tags) continue;
    throw new TeleportError('BadParameter', 'db_service.aws: missing parameter Labels', {
      hint: "Add to the matcher which AWS tags it takes; all of them: tags: {'*': '*'}",
    });
  }
}

/**
 * The matchers of a Discovery Service with every default filled in.
 *
 * @throws BadParameter in Teleport's words, NotImplemented for an integration
 */
export function discoveryMatchers(matchers: readonly AwsMatcher[]): AwsMatcher[] {
  for (const matcher of matchers) {
    checkMatcher('discovery_service', matcher);
    const { types, assume_role_arn, external_id } = matcher;
    // Teleport's `db_service` takes it.
    if (external_id && !assume_role_arn && !types.every((type) => ROLES_AS_USERS.has(type))) {
      throw new TeleportError(
        'BadParameter',
        `discovery service AWS matcher assume_role_arn is empty, but has external_id ${JSON.stringify(external_id)}`,
      );
    }
  }
  return matchers.map((matcher) => ({
    ...matcher,
    tags: Object.keys(matcher.tags ?? {}).length > 0 ? matcher.tags! : { '*': '*' },
  }));
}

/** Teleport's words; it checks `db_service.aws` when it looks, and finds nothing without types or regions. */
const SECTIONS = {
  db_service: {
    name: 'db_service.aws',
    types: DATABASES,
    unknown: (type: string, known: string) =>
      `unknown matcher type ${type}. Supported AWS matcher types are [${known}]`,
  },
  discovery_service: {
    name: 'discovery service',
    types: [...OTHERS, ...DATABASES],
    unknown: (type: string, known: string) =>
      `discovery service type does not support ${type}, supported resource types are: [${known}]`,
  },
} as const;

function checkMatcher(section: keyof typeof SECTIONS, matcher: AwsMatcher): void {
  const { types, regions, assume_role_arn: role, integration } = matcher;
  const { name, types: served, unknown: unknownText } = SECTIONS[section];
  const known: readonly string[] = served;
  const refuse = (text: string) => {
    throw new TeleportError('BadParameter', text);
  };
  const unknown = types.find((type) => !known.includes(type));
  if (unknown !== undefined) refuse(unknownText(JSON.stringify(unknown), known.join(' ')));
  if (types.length === 0) refuse(`${name} requires at least one type`);
  if (regions.length === 0) refuse(`${name} requires at least one region`);
  const unreal = regions.find((region) => !isRegion(region));
  if (unreal !== undefined) refuse(`${name} does not support region ${JSON.stringify(unreal)}`);
  if (role && !isAccountId(parseRoleArn(role)?.accountId ?? '')) {
    refuse(`invalid assume role: ${JSON.stringify(role)} is not the ARN of an IAM role`);
  }
  refuseIntegration(section, integration);
}

function refuseIntegration(section: string, integration: string | undefined): void {
  if (!integration) return;
  throw new TeleportError('NotImplemented', `${section}.aws: integration is not supported`, {
    hint: 'Give the host of the service AWS credentials, or name a role with assume_role_arn.',
  });
}
