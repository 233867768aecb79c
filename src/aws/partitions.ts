/**
 * AWS's partitions: closed worlds with regions, ARNs and host names of their own. The one table of them. Pure.
 *
 * Source: botocore's `partitions.json` and `endpoints.json`, which a test compares with this table.
 */

interface PartitionFacts {
  /** First word of a region's name, as far as it says which partition: `cn-`, `us-gov-`. */
  region: RegExp;
  /** What the names of hosts end with: of databases and of the API. */
  dnsSuffix: string;
  /** The same for the API's dual-stack hosts. */
  dualStackSuffix: string;
}

const PARTITIONS = {
  aws: {
    region: /^(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+$/,
    dnsSuffix: 'amazonaws.com',
    dualStackSuffix: 'api.aws',
  },
  'aws-cn': {
    region: /^cn-[a-z]+-\d+$/,
    dnsSuffix: 'amazonaws.com.cn',
    dualStackSuffix: 'api.amazonwebservices.com.cn',
  },
  'aws-us-gov': { region: /^us-gov-[a-z]+-\d+$/, dnsSuffix: 'amazonaws.com', dualStackSuffix: 'api.aws' },
  'aws-eusc': {
    region: /^eusc-[a-z]+-[a-z]+-\d+$/,
    dnsSuffix: 'amazonaws.eu',
    dualStackSuffix: 'api.amazonwebservices.eu',
  },
  'aws-iso': { region: /^us-iso-[a-z]+-\d+$/, dnsSuffix: 'c2s.ic.gov', dualStackSuffix: 'api.aws.ic.gov' },
  'aws-iso-b': { region: /^us-isob-[a-z]+-\d+$/, dnsSuffix: 'sc2s.sgov.gov', dualStackSuffix: 'api.aws.scloud' },
  'aws-iso-e': {
    region: /^eu-isoe-[a-z]+-\d+$/,
    dnsSuffix: 'cloud.adc-e.uk',
    dualStackSuffix: 'api.cloud-aws.adc-e.uk',
  },
  'aws-iso-f': { region: /^us-isof-[a-z]+-\d+$/, dnsSuffix: 'csp.hci.ic.gov', dualStackSuffix: 'api.aws.hci.ic.gov' },
} as const satisfies Record<string, PartitionFacts>;

/** As an ARN has it behind `arn:`. */
export type Partition = keyof typeof PARTITIONS;

const ALL = Object.entries(PARTITIONS) as [Partition, PartitionFacts][];
/** Longer ones first: `amazonaws.com.cn` before `amazonaws.com`. */
const SUFFIXES = [...new Set(ALL.flatMap(([, facts]) => [facts.dnsSuffix, facts.dualStackSuffix]))].sort(
  (a, b) => b.length - a.length,
);
const REGION = /^[a-z]{2,}(-[a-z]+)+-\d{1,2}$/;

/** Whether it has the form of a region's name: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`. */
export function isRegion(text: string): boolean {
  return REGION.test(text);
}

export function knownPartitionOf(region: string): Partition | undefined {
  return ALL.find(([, facts]) => facts.region.test(region))?.[0];
}

/** A region that no partition knows is taken for a new one of `aws`, as the SDKs take it. */
export function partitionOf(region: string): Partition {
  return knownPartitionOf(region) ?? 'aws';
}

/** Whether AWS has a partition of that name. */
export function isPartition(text: string): text is Partition {
  return Object.hasOwn(PARTITIONS, text);
}

/** What the hosts of a region's databases end with, without a dot in front: `amazonaws.com.cn`. */
export function dnsSuffixOf(region: string): string {
  return PARTITIONS[partitionOf(region)].dnsSuffix;
}

/**
 * A host name of AWS in two: its labels in lower case, and the suffix of its partition. A dot at the end is left out.
 *
 * @param host  without port
 * @returns undefined for a host that is not AWS's
 */
export function splitAwsHost(host: string): { labels: string[]; suffix: string } | undefined {
  const name = host.toLowerCase().replace(/\.$/, '');
  const suffix = SUFFIXES.find((one) => name.endsWith(`.${one}`));
  return suffix === undefined ? undefined : { labels: name.slice(0, -suffix.length - 1).split('.'), suffix };
}
