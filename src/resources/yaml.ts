/**
 * Files that people give to `tctl create`: YAML with one or several documents, or JSON (which is YAML), or a JSON list as
 * `tctl get --format=json` prints it. Unknown members are left for whoever reads them and mean nothing, as in Teleport.
 */
import { parseAllDocuments } from 'yaml';
import { TeleportError } from '../errors.js';
import { kindOfWord } from './ref.js';
import type { AnyResource } from './types.js';

/** Longest text that is read. */
const MAX_TEXT_CHARS = 4 * 1024 * 1024;

/**
 * The resources of a text, in order. Empty documents are skipped. Nothing is checked but the kind: see `validate.ts`.
 *
 * @throws TeleportError `BadParameter`: broken YAML with its line, a kind that cannot be made, or nothing at all
 */
export function parseResources(text: string): AnyResource[] {
  if (text.length > MAX_TEXT_CHARS) throw bad('the resources are longer than 4 MiB');
  const documents = parseAllDocuments(text, { uniqueKeys: true, version: '1.1', merge: true, customTags: plainTimes });
  const resources: AnyResource[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) {
      const line = error.linePos?.[0].line ?? 1;
      throw bad(`error converting YAML to JSON: yaml: line ${line}: ${firstLine(error.message)}`, error);
    }
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined) resources.push(resourceOf(item));
    }
  }
  if (resources.length === 0) throw bad('no resources found, empty input?');
  return resources;
}

function resourceOf(value: unknown): AnyResource {
  if (typeof value !== 'object') throw bad('a resource must be a map with kind, version, metadata and spec');
  const { kind, metadata, spec, ...rest } = value as Record<string, unknown>;
  if (typeof kind !== 'string' || kind === '') throw bad('missing resource kind');
  const known = kindOfWord(kind);
  if (known === undefined) throw bad(`creating resources of type ${JSON.stringify(kind)} is not supported`);
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
function plainTimes(tags: import('yaml').Tags): import('yaml').Tags {
  return tags.filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:timestamp');
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
}

function bad(message: string, cause?: unknown): TeleportError {
  return new TeleportError('BadParameter', message, { cause });
}
