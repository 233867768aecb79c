/**
 * `{{internal.db_users}}` and its like in roles, filled in with a user's traits. Pure.
 *
 * Source: database-service.md 1.5.
 */
import { Kept } from '../kept.js';
import type { LabelSelector, Role, RoleConditions, Traits } from '../resources/types.js';
import { emailLocal, regexpReplace } from './text-functions.js';

const INTERNAL_TRAITS = new Set([
  'logins',
  'windows_logins',
  'kubernetes_groups',
  'kubernetes_users',
  'db_names',
  'db_users',
  'db_roles',
  'aws_role_arns',
  'azure_identities',
  'gcp_service_accounts',
  'jwt',
  'github_orgs',
  'mcp_tools',
  'default_relay_addr',
]);

/** Longest entry that is read as a template; ours. */
const MAX_TEMPLATE_CHARS = 2048;

/** Lists whose entries may be templates. */
const TEMPLATED_LISTS = ['db_users', 'db_names', 'db_roles', 'logins'] as const;
const TEMPLATED_LABELS = ['db_labels', 'db_service_labels'] as const;

/** Roles filled in for the people who come again and again: more than a cluster with a thousand roles has. */
const kept = new Kept<Role>({
  most: 20_000,
  mostChars: 32 * 1024 * 1024,
  charsOf: (role) => JSON.stringify(role).length,
});

/**
 * The role with every template of its database conditions replaced; what cannot be replaced is left out. What was made of a revision of
 * the store is kept, so nobody may change it.
 */
export function expandRole(role: Role, traits: Traits): Role {
  const { name, revision } = role.metadata;
  if (!revision) return expanded(role, traits);
  return kept.get(JSON.stringify([revision, name, traits]), () => expanded(role, traits));
}

function expanded(role: Role, traits: Traits): Role {
  if (!hasTemplates(role.spec.allow) && !hasTemplates(role.spec.deny)) return role;
  const expand = (conditions: RoleConditions): RoleConditions => {
    const expanded: RoleConditions = { ...conditions };
    for (const key of TEMPLATED_LISTS) {
      const list = conditions[key];
      if (list) expanded[key] = [...new Set(list.flatMap((entry) => expandValue(entry, traits)))];
    }
    for (const key of TEMPLATED_LABELS) {
      const labels = conditions[key];
      if (labels) expanded[key] = expandLabels(labels, traits);
    }
    return expanded;
  };
  return { ...role, spec: { ...role.spec, allow: expand(role.spec.allow), deny: expand(role.spec.deny) } };
}

/** Most roles have none. */
function hasTemplates(conditions: RoleConditions): boolean {
  return (
    TEMPLATED_LISTS.some((key) => conditions[key]?.some(mayBeTemplate)) ||
    TEMPLATED_LABELS.some((key) =>
      Object.entries(conditions[key] ?? {}).some((entry) => entry.flat().some(mayBeTemplate)),
    )
  );
}

export const mayBeTemplate = (entry: string): boolean => entry.includes('{{') || entry.includes('}}');

/**
 * The values that one entry stands for: itself without a template, one per trait value with one, none when the trait is
 * missing or the template cannot be read.
 */
export function expandValue(entry: string, traits: Traits): string[] {
  if (!mayBeTemplate(entry)) return [entry];
  const template = templateIn(entry);
  if (!template) return [];
  return (evaluate(template.expression, traits) ?? [])
    .filter((value) => value !== '')
    .map((value) => `${template.prefix.trimStart()}${value}${template.suffix.trimEnd()}`);
}

/** Whether an entry is plain text or a template that can be filled in, for a user who has the trait. */
export function isReadable(entry: string): boolean {
  if (!mayBeTemplate(entry)) return true;
  const template = templateIn(entry);
  return template !== undefined && evaluate(template.expression, {}) !== undefined;
}

/** What stands before, in and behind the one pair of double braces. */
function templateIn(entry: string): { prefix: string; expression: string; suffix: string } | undefined {
  if (entry.length > MAX_TEMPLATE_CHARS) return undefined;
  const [begin, end] = [entry.indexOf('{{'), entry.lastIndexOf('}}')];
  if (begin < 0 || end < begin + 2) return undefined;
  const [prefix, suffix] = [entry.slice(0, begin), entry.slice(end + 2)];
  if (prefix.includes('}}') || suffix.includes('{{')) return undefined;
  return { prefix, expression: entry.slice(begin + 2, end).trim(), suffix };
}

function expandLabels(labels: LabelSelector, traits: Traits): LabelSelector {
  return Object.fromEntries(
    Object.entries(labels).map(([key, values]) => {
      const keys = expandValue(key, traits);
      const list = (Array.isArray(values) ? values : [values]).flatMap((value) => {
        const expanded = expandValue(value, traits);
        // A missing trait becomes an empty text, which matches no label.
        return expanded.length > 0 ? expanded : [''];
      });
      return [keys[0] ?? '', list];
    }),
  );
}

/** Undefined when the expression is not one that we know. */
function evaluate(expression: string, traits: Traits): string[] | undefined {
  const variable = /^(internal|external)(?:\.([\w-]+)|\["([^"]+)"\])$/.exec(expression);
  if (variable) {
    const name = variable[2] ?? variable[3]!;
    if (variable[1] === 'internal' && !INTERNAL_TRAITS.has(name)) return undefined;
    return traits[name] ?? [];
  }
  const local = /^email\.local\((.*)\)$/s.exec(expression);
  if (local) return evaluate(local[1]!.trim(), traits)?.flatMap((address) => emailLocal(address) ?? []);
  const replace = /^regexp\.replace\((.*),\s*("(?:[^"\\]|\\.)*")\s*,\s*("(?:[^"\\]|\\.)*")\s*\)$/s.exec(expression);
  if (replace) {
    try {
      const values = evaluate(replace[1]!.trim(), traits);
      return values && regexpReplace(values, JSON.parse(replace[2]!) as string, JSON.parse(replace[3]!) as string);
    } catch {
      return undefined;
    }
  }
  const literal = /^"((?:[^"\\]|\\.)*)"$/.exec(expression);
  return literal ? [JSON.parse(expression) as string] : undefined;
}
