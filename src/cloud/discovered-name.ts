/**
 * The name of a database that was found in AWS: AWS's own and what makes it the only one of its name in the cluster,
 * `sales` → `sales-redshift-us-east-1-123456789012`. AWS's own name stays as a label, by which `tsh` finds it too. Pure.
 *
 * Source: database-service.md 7.2; seen with `db_service.aws` of Teleport 18.3.0.
 */
import { DISCOVERY_TYPE_LABEL, type FoundDatabase, NAME_TAGS } from '../aws/discover.js';
import { DISCOVERED_NAME_LABEL } from '../resources/labels.js';

const PART = /^[a-zA-Z0-9-]*[a-zA-Z0-9]$/;

export interface Named {
  name: string;
  labels: Record<string, string>;
}

export function discoveredName(found: FoundDatabase): Named {
  const { name, labels } = found;
  // Nothing is put behind a name that somebody chose.
  return NAME_TAGS.some((tag) => labels[tag]) ? { name, labels } : suffixed(name, found);
}

/** The name that it would have without a tag which gives it one. */
export function nameWithoutTag(found: FoundDatabase): Named {
  const { redshift, redshift_serverless: serverless } = found.aws;
  const parts = [redshift?.cluster_id, serverless?.workgroup_name, serverless?.endpoint_name];
  return suffixed(parts.filter(Boolean).join('-'), found);
}

function suffixed(name: string, { aws, labels }: FoundDatabase): Named {
  const type = labels[DISCOVERY_TYPE_LABEL] ?? '';
  const lower = name.toLowerCase();
  // What the name says already is not said twice.
  const suffix = [type, aws.region ?? '', aws.account_id ?? ''].filter(
    (part) => PART.test(part) && !lower.includes(part.toLowerCase()),
  );
  if (suffix.length === 0) return { name, labels };
  return { name: [name, ...suffix].join('-'), labels: { ...labels, [DISCOVERED_NAME_LABEL]: name } };
}
