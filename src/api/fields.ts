/**
 * Which fields a kind of resource has, from the description of its message; and what a message brought that has no field
 * here. Both are refused where a resource is written: what this version does not know it cannot keep, and it may have been
 * a restriction.
 */
import type { Kind } from '../resources/types.js';
import type { Shape } from '../resources/unknown-keys.js';
import { SCHEMAS } from './convert.js';
import type { DescField, DescMessage } from './protobuf.js';

/** Messages that are one value in YAML, or of no interest. */
const WHOLE = new Set(['google.protobuf.Timestamp', 'google.protobuf.Duration', 'types.BoolValue', 'types.Opaque']);

/** Messages that are a map in YAML, with keys that people choose. */
const MAPS = new Set(['wrappers.LabelValues']);

/** Keys that older versions wrote and that mean nothing: `tctl get` of Teleport 15 prints `metadata.id`. */
const OLD_KEYS: Record<string, readonly string[]> = { 'types.Metadata': ['id'] };

const ANY: Shape = { type: 'any' };

/** The keys that a resource of this kind may have. */
export function shapeOf(kind: Kind): Shape {
  return messageShape(SCHEMAS[kind]);
}

function messageShape(desc: DescMessage): Shape {
  if (WHOLE.has(desc.typeName)) return ANY;
  if (MAPS.has(desc.typeName)) return { type: 'map', of: ANY };
  const members = new Map(desc.fields.map((field) => [field.name, fieldShape(field)]));
  for (const key of OLD_KEYS[desc.typeName] ?? []) members.set(key, ANY);
  return { type: 'members', members };
}

function fieldShape(field: DescField): Shape {
  switch (field.fieldKind) {
    case 'message':
      return messageShape(field.message);
    case 'list':
      return { type: 'list', of: field.listKind === 'message' ? messageShape(field.message) : ANY };
    case 'map':
      return { type: 'map', of: field.mapKind === 'message' ? messageShape(field.message) : ANY };
    default:
      return ANY;
  }
}

/** What a message holds without a place for it here: `spec.options, field 33`; blocks that are never read by their name. */
export function unreadFields(kind: Kind, message: unknown): string[] {
  return unread(SCHEMAS[kind], message as Fields, []);
}

type Fields = Record<string, unknown> & { $unknown?: { no: number }[] };

function unread(desc: DescMessage, message: Fields, path: readonly string[]): string[] {
  const place = path.join('.') || 'the resource';
  const numbers = [...new Set((message.$unknown ?? []).map(({ no }) => no))];
  if (desc.typeName === 'types.Opaque') return numbers.length > 0 ? [place] : [];
  const own = numbers.map((no) => `${place}, field ${no}`);
  return [...own, ...desc.fields.flatMap((field) => below(field, message[field.localName], [...path, field.name]))];
}

function below(field: DescField, value: unknown, path: readonly string[]): string[] {
  if (value === undefined || value === null) return [];
  if (field.fieldKind === 'message') return unread(field.message, value as Fields, path);
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    return (value as Fields[]).flatMap((item) => unread(field.message, item, path));
  }
  if (field.fieldKind === 'map' && field.mapKind === 'message') {
    return Object.values(value as Record<string, Fields>).flatMap((item) => unread(field.message, item, path));
  }
  return [];
}
