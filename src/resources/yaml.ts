/**
 * Files that people give to `tctl create`: YAML with one or several documents, or JSON (which is YAML), or a JSON list as
 * `tctl get --format=json` prints it. A key that is not a field of its kind is an error, as far as the shapes of the kinds
 * are given: it would be kept nowhere.
 */
import { messageOf, mistakesText, TeleportError } from '../errors.js';
import { masked, redactValue, yamlReason } from '../redact.js';
import { type Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments, type Tags } from '../yaml.js';
import { EDITABLE, kindOfWord } from './ref.js';
import type { AnyResource, Kind } from './types.js';
import { pathText, type Shape, unknownKeys, wrongShapes } from './unknown-keys.js';

/** Longest text that is read. */
const MAX_TEXT_CHARS = 4 * 1024 * 1024;

/**
 * The resources of a text, in order. Empty documents are skipped. Only kinds and keys are checked: for the rest see
 * `validate.ts`.
 *
 * @param shapeOf  the keys that a kind has; without it no key is checked
 * @throws TeleportError `BadParameter`: broken YAML with its line, a kind that cannot be made, every key that is not a field
 *   with its line, or nothing at all
 */
export function parseResources(text: string, shapeOf?: (kind: Kind) => Shape): AnyResource[] {
  if (text.length > MAX_TEXT_CHARS) throw bad('the resources are longer than 4 MiB');
  const lineCounter = new LineCounter();
  const options = {
    uniqueKeys: true,
    version: '1.1',
    merge: true,
    customTags: plainTimes,
    lineCounter,
    logLevel: 'error',
  } as const;
  const documents = parseAllDocuments(text, options);
  const resources: AnyResource[] = [];
  const mistakes: string[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) {
      const line = error.linePos?.[0].line ?? 1;
      throw bad(`error converting YAML to JSON: yaml: line ${line}: ${yamlReason(error.message)}`);
    }
    const value: unknown = plainValue(document);
    for (const [at, item] of (Array.isArray(value) ? value : [value]).entries()) {
      if (item === null || item === undefined) continue;
      const resource = resourceOf(item);
      resources.push(resource);
      if (shapeOf) {
        const place = Array.isArray(value) ? [at] : [];
        const lineOf = (path: (string | number)[]) => lineOfKey(document, [...place, ...path], lineCounter);
        mistakes.push(...mistakesOf(item, resource, shapeOf(resource.kind), lineOf));
      }
    }
  }
  if (resources.length === 0) throw bad('no resources found, empty input?');
  if (mistakes.length > 0) throw bad(mistakesText(mistakes));
  return resources;
}

function plainValue(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw bad(`error converting YAML to JSON: yaml: ${yamlReason(messageOf(error))}`);
  }
}

/** `role "dba", line 9: unknown field spec.allow.db_usres, did you mean spec.allow.db_users?`; `… spec.deny must be a map` */
function mistakesOf(
  item: unknown,
  { kind, metadata }: AnyResource,
  shape: Shape,
  lineOf: (path: (string | number)[]) => number | undefined,
): string[] {
  const name = kind === 'token' && typeof metadata.name === 'string' ? masked(metadata.name) : metadata.name;
  const who = name === undefined ? kind : `${kind} ${JSON.stringify(name)}`;
  const where = (path: (string | number)[]) => {
    const line = lineOf(path);
    return line === undefined ? who : `${who}, line ${line}`;
  };
  return [
    ...unknownKeys(item, shape).map(({ path, meant }) => {
      const question = meant === undefined ? '' : `, did you mean ${meant}?`;
      return `${where(path)}: unknown field ${pathText(path)}${question}`;
    }),
    ...wrongShapes(item, shape).map(({ path, expected }) => `${where(path)}: ${pathText(path)} must be ${expected}`),
  ];
}

/** The line of a key, or undefined where it comes by an alias. */
function lineOfKey(document: Document.Parsed, path: (string | number)[], lines: LineCounter): number | undefined {
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  if (!isMap(parent)) return undefined;
  const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === path.at(-1));
  const start = (pair?.key as Node | undefined)?.range?.[0];
  return start === undefined ? undefined : lines.linePos(start).line;
}

function resourceOf(value: unknown): AnyResource {
  if (typeof value !== 'object') throw bad('a resource must be a map with kind, version, metadata and spec');
  const { kind, metadata, spec, ...rest } = value as Record<string, unknown>;
  if (typeof kind !== 'string' || kind === '') throw bad('missing resource kind');
  const known = kindOfWord(kind);
  if (kind === 'db_object_import_rule') {
    throw new TeleportError('BadParameter', `creating resources of type "${kind}" is not supported`, {
      hint: 'Rules of import serve db_permissions, and no rights on single objects are given here. Give them to a role of the database, and name that in db_roles.',
    });
  }
  if (known === undefined)
    throw bad(`creating resources of type ${JSON.stringify(redactValue(kind))} is not supported`);
  if (!EDITABLE.has(known)) throw bad(`creating resources of type "${known}" is not supported`);
  return {
    ...rest,
    kind: known,
    metadata: mapOf(metadata, 'metadata'),
    spec: mapOf(spec, 'spec'),
  } as unknown as AnyResource;
}

function mapOf(value: unknown, name: string): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw bad(`${name} must be a map`);
  return value as Record<string, unknown>;
}

/** YAML 1.1 would make a Date of a time; a resource holds its text. */
function plainTimes(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:timestamp');
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
