/** The database types that IAM policies are made for, and how people spell them. Pure. Source: the reference page "Database Access AWS IAM". */
import { didYouMean, TeleportError } from '../errors.js';

/** In the order in which their statements stand. */
export const IAM_TYPES = [
  'rds',
  'rdsproxy',
  'redshift',
  'redshift-serverless',
  'elasticache',
  'elasticache-serverless',
  'memorydb',
  'keyspace',
  'dynamodb',
  'opensearch',
  'docdb',
] as const;
export type IamType = (typeof IAM_TYPES)[number];

/** The spellings of the reference page, where they are not Teleport's. */
const PAGE_SPELLINGS: Partial<Record<IamType, string>> = {
  rdsproxy: 'rds-proxy',
  keyspace: 'keyspaces',
  docdb: 'documentdb',
};

/** As the reference page calls it: `keyspaces` for `keyspace`. */
export function pageSpelling(type: IamType): string {
  return PAGE_SPELLINGS[type] ?? type;
}

/**
 * The types of a `--types` flag, in either spelling and any case, in the order of `IAM_TYPES`, each once.
 *
 * @throws TeleportError `BadParameter` with the accepted names
 */
export function parseIamTypes(flag: readonly string[]): IamType[] {
  const names = flag
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
  const wanted = names.map((name) => {
    const word = name.toLowerCase();
    const type = IAM_TYPES.find((one) => word === one || word === pageSpelling(one));
    if (type !== undefined) return type;
    const all = [...IAM_TYPES, ...Object.values(PAGE_SPELLINGS)];
    throw new TeleportError(
      'BadParameter',
      `--types ${JSON.stringify(name)} not supported. supported types are: ${IAM_TYPES.join(', ')}${didYouMean(word, all)}`,
    );
  });
  return IAM_TYPES.filter((type) => wanted.includes(type));
}
