/**
 * Which of the cluster's db resources an agent serves (`db_service.resources`), and with which AWS role.
 *
 * Source: database-service.md 7.3; Teleport 18.3.0, `MatchResourceLabels` and the database service's watcher.
 */
import { matchesLabels } from '../rbac/labels.js';
import { awsOf, databaseType } from '../resources/database-type.js';
import type { Database, LabelSelector } from '../resources/types.js';

export interface ResourceMatcher {
  labels: LabelSelector;
  /** Role for looking at the databases and entering them, instead of the one that they name. */
  aws?: { assume_role_arn?: string; external_id?: string };
}

/**
 * The resource if a matcher selects it. The last fitting matcher that names a role gives the role; it stands in the
 * status, beside what the resource says itself.
 */
export function selectedBy(database: Database, matchers: readonly ResourceMatcher[]): Database | undefined {
  const fitting = matchers.filter(({ labels }) => matchesLabels(labels, database.metadata.labels ?? {}));
  if (fitting.length === 0) return undefined;
  const role = fitting.findLast(({ aws }) => aws?.assume_role_arn)?.aws;
  if (!role || databaseType(database) === 'self-hosted') return database;
  const { external_id: _, ...aws } = awsOf(database);
  const withRole = { ...aws, assume_role_arn: role.assume_role_arn };
  const external = role.external_id ? { external_id: role.external_id } : {};
  // No member of the written record may show through where the matcher leaves it out.
  const { external_id: __, ...spec } = database.spec.aws ?? {};
  return {
    ...database,
    spec: { ...database.spec, aws: spec },
    status: { ...database.status, aws: { ...withRole, ...external } },
  } as Database;
}
