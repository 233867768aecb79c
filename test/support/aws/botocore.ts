/** Partitions, regions and suffixes as botocore has them (`botocore/partitions.json`). */
import { readFileSync } from 'node:fs';

export interface BotocorePartition {
  id: string;
  regionRegex: string;
  dnsSuffix: string;
  dualStackDnsSuffix: string;
  regions: string[];
  /** Regions with provisioned clusters. */
  redshift: string[];
  'redshift-serverless': string[];
}

export const BOTOCORE = (
  JSON.parse(readFileSync('test/support/aws/botocore/partitions.json', 'utf8')) as { partitions: BotocorePartition[] }
).partitions;
