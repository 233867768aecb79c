/** Service models and partitions of botocore without what the AWS double does not need. Pure. */

type Json = Record<string, unknown>;
export interface Model {
  metadata: Json;
  operations: Record<string, Json>;
  shapes: Record<string, Json>;
}

const METADATA = [
  'apiVersion',
  'endpointPrefix',
  'jsonVersion',
  'protocol',
  'serviceFullName',
  'targetPrefix',
  'xmlNamespace',
];
/** Of an operation, a shape or a reference to one; a member of the same name is kept. */
const PROSE = /^(documentation|documentationUrl|deprecated\w*|sensitive|box|synthetic|examples)$/;

/** @throws Error when the model has no such operation */
export function reduce(full: Model, wanted: readonly string[]): Model {
  const operations = Object.fromEntries(
    [...wanted].sort().map((name) => {
      if (!full.operations[name]) throw new Error(`${full.metadata.serviceFullName} has no operation ${name}`);
      const { input, output, errors = [], ...rest } = without(full.operations[name]);
      return [
        name,
        {
          ...rest,
          ...(input ? { input: without(input as Json) } : {}),
          ...(output ? { output: without(output as Json) } : {}),
          errors: (errors as Json[]).map(without),
        },
      ];
    }),
  );
  const shapes: Record<string, Json> = {};
  const reach = (name: string) => {
    if (shapes[name]) return;
    const shape = bare(full.shapes[name]!);
    shapes[name] = shape;
    for (const { shape: next } of references(shape)) reach(next);
  };
  for (const { input, output, errors } of Object.values(operations)) {
    for (const one of [input, output, ...errors]) if (one) reach((one as { shape: string }).shape);
  }
  return {
    metadata: Object.fromEntries(
      METADATA.filter((key) => key in full.metadata).map((key) => [key, full.metadata[key]]),
    ),
    operations,
    shapes: Object.fromEntries(Object.entries(shapes).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

const NOTICE = 'Reduced from botocore by test/tools/botocore.ts; see NOTICE in this folder.';

/** One operation and one shape a line: small, and its changes can be read. */
export function writeModel({ metadata, operations, shapes }: Model): string {
  const lines = (all: Record<string, Json>) =>
    Object.entries(all)
      .map(([name, one]) => `  ${JSON.stringify(name)}: ${JSON.stringify(one)}`)
      .join(',\n');
  return `{
"notice": ${JSON.stringify(NOTICE)},
"metadata": ${JSON.stringify(metadata)},
"operations": {\n${lines(operations)}\n},
"shapes": {\n${lines(shapes)}\n}
}
`;
}

/** `partitions.json` of botocore. */
export interface Partitions {
  partitions: {
    id: string;
    regionRegex: string;
    outputs: { dnsSuffix: string; dualStackDnsSuffix: string };
    regions: Json;
  }[];
}

/** `endpoints.json` of botocore. */
export interface Endpoints {
  partitions: { partition: string; services: Record<string, { endpoints: Json }> }[];
}

/** Each partition with its names and regions, and the regions of Redshift's two kinds. */
export function reducePartitions({ partitions }: Partitions, endpoints: Endpoints): Json[] {
  return partitions.map(({ id, regionRegex, outputs: { dnsSuffix, dualStackDnsSuffix }, regions }) => {
    const services = endpoints.partitions.find(({ partition }) => partition === id)?.services;
    const regionsOf = (service: string) =>
      Object.keys(services?.[service]?.endpoints ?? {})
        .filter((region) => region in regions)
        .sort();
    return {
      id,
      regionRegex,
      dnsSuffix,
      dualStackDnsSuffix,
      regions: Object.keys(regions).sort(),
      redshift: regionsOf('redshift'),
      'redshift-serverless': regionsOf('redshift-serverless'),
    };
  });
}

/** One partition a line. */
export function writePartitions(partitions: readonly Json[]): string {
  const lines = partitions.map((one) => `  ${JSON.stringify(one)}`).join(',\n');
  return `{\n"notice": ${JSON.stringify(NOTICE)},\n"partitions": [\n${lines}\n]\n}\n`;
}

const without = (one: Json): Json => Object.fromEntries(Object.entries(one).filter(([key]) => !PROSE.test(key)));

/** A shape and its references without prose, the names of its members untouched. */
function bare(shape: Json): Json {
  const { members, ...rest } = without(shape);
  for (const part of ['member', 'key', 'value']) if (rest[part]) rest[part] = without(rest[part] as Json);
  if (!members) return rest;
  const named = Object.entries(members).map(([name, one]) => [name, without(one as Json)]);
  return { ...rest, members: Object.fromEntries(named) };
}

function references({ members = {}, member, key, value }: Json): { shape: string }[] {
  return [...Object.values(members as Json), member, key, value].filter((one) => one !== undefined) as {
    shape: string;
  }[];
}
