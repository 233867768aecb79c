/**
 * The services as botocore's models describe them (`botocore/*.json`): operations, shapes, errors. What the double is sent
 * and what it says is held against them, so neither is right only because the other side is ours too.
 */
import { readFileSync } from 'node:fs';
import { COMMON_ERRORS } from './common-errors.js';

export interface Ref {
  shape: string;
  /** On the wire, when it is not the member's own name. */
  locationName?: string;
}

export interface Shape {
  type: 'structure' | 'list' | 'map' | 'string' | 'integer' | 'long' | 'double' | 'boolean' | 'timestamp';
  members?: Record<string, Ref>;
  required?: string[];
  /** Of a list. */
  member?: Ref;
  min?: number;
  max?: number;
  pattern?: string;
  enum?: string[];
  timestampFormat?: 'iso8601' | 'unixTimestamp';
  exception?: boolean;
  /** The service's own fault. */
  fault?: boolean;
  error?: { code?: string; httpStatusCode?: number };
}

export interface Operation {
  http: { method: string; requestUri: string };
  /** `none`: it comes without a signature. */
  authtype?: string;
  input: Ref;
  output?: Ref & { resultWrapper?: string };
  errors: Ref[];
}

export interface Model {
  metadata: {
    apiVersion: string;
    /** As a signature names the service. */
    endpointPrefix: string;
    protocol: 'query' | 'json';
    /** Of the query protocol. */
    xmlNamespace?: string;
    /** Of the JSON protocol. */
    jsonVersion?: string;
    targetPrefix?: string;
  };
  operations: Record<string, Operation>;
  shapes: Record<string, Shape>;
}

const load = (name: string) => JSON.parse(readFileSync(`test/support/aws/botocore/${name}.json`, 'utf8')) as Model;

/** The services of the double. */
export const MODELS = {
  sts: load('sts'),
  iam: load('iam'),
  redshift: load('redshift'),
  'redshift-serverless': load('redshift-serverless'),
};

/** The error shape that the operation declares for a code. */
export function errorShapeOf(model: Model, operation: string, code: string): Shape | undefined {
  return model.operations[operation]?.errors
    .map(({ shape }) => ({ name: shape, shape: model.shapes[shape]! }))
    .find(({ name, shape }) => (shape.error?.code ?? name) === code)?.shape;
}

/** HTTP status of an error: declared by the operation, or common to all. undefined: AWS never answers so. */
export function statusOf(model: Model, operation: string, code: string): number | undefined {
  const shape = errorShapeOf(model, operation, code);
  if (shape) return shape.error?.httpStatusCode ?? (shape.fault ? 500 : 400);
  return COMMON_ERRORS.find((one) => one.protocol === model.metadata.protocol && one.code === code)?.status;
}

/** What AWS calls a broken rule: `Value '…' at 'roleSessionName' failed to satisfy constraint: …`. */
export interface Broken {
  kind: 'missing' | 'value';
  text: string;
}

/** The rules of the model that a value breaks: what is required, lengths, ranges, patterns, lists of words. */
export function brokenRules(model: Model, ref: Ref, value: unknown, path: string[] = []): Broken[] {
  const shape = model.shapes[ref.shape]!;
  const rule = (isKept: boolean, text: string): Broken[] =>
    isKept ? [] : [{ kind: 'value', text: constraint(`'${shown(value)}'`, path, text) }];
  const between = (size: number, what: string) => [
    ...rule(size >= (shape.min ?? -Infinity), `Member must have ${what} greater than or equal to ${shape.min}`),
    ...rule(size <= (shape.max ?? Infinity), `Member must have ${what} less than or equal to ${shape.max}`),
  ];
  switch (shape.type) {
    case 'structure': {
      const given = value as Record<string, unknown>;
      const missing = (shape.required ?? [])
        .filter((name) => given[name] === undefined)
        .map(
          (name): Broken => ({ kind: 'missing', text: constraint('null', [...path, name], 'Member must not be null') }),
        );
      const inside = Object.entries(given).flatMap(([name, inner]) =>
        brokenRules(model, shape.members![name]!, inner, [...path, name]),
      );
      return [...missing, ...inside];
    }
    case 'list': {
      const items = value as unknown[];
      const inside = items.flatMap((one, index) =>
        brokenRules(model, shape.member!, one, [...path, String(index + 1), 'member']),
      );
      return [...between(items.length, 'length'), ...inside];
    }
    case 'string': {
      const text = value as string;
      return [
        ...between([...text].length, 'length'),
        ...rule(
          !shape.pattern || matches(shape.pattern, text),
          `Member must satisfy regular expression pattern: ${shape.pattern}`,
        ),
        ...rule(
          !shape.enum || shape.enum.includes(text),
          `Member must satisfy enum value set: [${shape.enum?.join(', ')}]`,
        ),
      ];
    }
    case 'integer':
    case 'long':
    case 'double':
      return between(value as number, 'value');
    default:
      return [];
  }
}

/** A pattern stands for the whole text, anchored or not. */
export function matches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`, 'u').test(text);
}

function constraint(value: string, path: string[], text: string): string {
  const at = path.map((one) => one[0]!.toLowerCase() + one.slice(1)).join('.');
  return `Value ${value} at '${at}' failed to satisfy constraint: ${text}`;
}

function shown(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
