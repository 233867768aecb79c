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

/** @throws BadParameter for a matcher without tags or of an unknown type, NotImplemented for an integration */
export function checkMatchers(matchers: readonly AwsMatcher[]): void {
  const known: readonly string[] = DATABASES;
  for (const { types, tags, integration } of matchers) {
    const unknown = types.find((type) => !known.includes(type));
    if (unknown !== undefined) {
      throw new TeleportError(
        'BadParameter',
        `unknown matcher type "${unknown}". Supported AWS matcher types are [${known.join(' ')}]`,
      );
    }
    if (!tags) {
      throw new TeleportError('BadParameter', 'db_service.aws: missing parameter Labels', {
        hint: "Add to the matcher which AWS tags it takes; all of them: tags: {'*': '*'}",
      });
    }
    refuseIntegration('db_service', integration);
  }
}

/**
 * The matchers of a Discovery Service with every default filled in.
 *
 * @throws BadParameter in Teleport's words, NotImplemented for an integration
 */
export function discoveryMatchers(matchers: readonly AwsMatcher[]): AwsMatcher[] {
  for (const matcher of matchers) checkDiscoveryMatcher(matcher);
  return matchers.map((matcher) => ({
    ...matcher,
    tags: Object.keys(matcher.tags ?? {}).length > 0 ? matcher.tags! : { '*': '*' },
  }));
}

function checkDiscoveryMatcher({ types, regions, assume_role_arn, external_id, integration }: AwsMatcher): void {
  const refuse = (text: string) => {
    throw new TeleportError('BadParameter', text);
  };
  const known: readonly string[] = [...OTHERS, ...DATABASES];
  const unknown = types.find((type) => !known.includes(type));
  if (unknown !== undefined) {
    refuse(
      `discovery service type does not support ${JSON.stringify(unknown)}, supported resource types are: [${known.join(' ')}]`,
    );
  }
  if (types.length === 0) refuse('discovery service requires at least one type');
  if (regions.length === 0) refuse('discovery service requires at least one region');
  const unreal = regions.find((region) => !isRegion(region));
  if (unreal !== undefined) refuse(`discovery service does not support region ${JSON.stringify(unreal)}`);
  if (assume_role_arn && !isAccountId(parseRoleArn(assume_role_arn)?.accountId ?? '')) {
    refuse(`invalid assume role: ${JSON.stringify(assume_role_arn)} is not the ARN of an IAM role`);
  }
  if (external_id && !assume_role_arn && !types.every((type) => ROLES_AS_USERS.has(type))) {
    refuse(
      `discovery service AWS matcher assume_role_arn is empty, but has external_id ${JSON.stringify(external_id)}`,
    );
  }
  refuseIntegration('discovery_service', integration);
}

function refuseIntegration(section: string, integration: string | undefined): void {
  if (!integration) return;
  throw new TeleportError('NotImplemented', `${section}.aws: integration is not supported`, {
    hint: 'Give the host of the service AWS credentials, or name a role with assume_role_arn.',
  });
}
