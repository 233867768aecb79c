/**
 * What of Teleport's resources this cluster stands for. Three sorts of keys:
 *
 *   - served: they do what they say;
 *   - kept (`kept-keys.ts`): they are about things that are not served here (SSH, Kubernetes, applications, desktops,
 *     access requests …) and are given back as they were written; whoever writes them gets a notice;
 *   - refused: they would restrict access to databases and nothing here holds to that. A role that is narrower on paper
 *     than in truth is worse than none.
 *
 * The Auth Service asks when a resource is written; a resource of an older store is read as it is. Pure.
 */

import { parseDurationNanos } from '../duration.js';
import { mistakesText, TeleportError } from '../errors.js';
import { excessIn, isPattern } from '../pattern.js';
import { isSet } from './database-type.js';
import { kindOfWord } from './ref.js';
import type { AnyResource, Database, ProvisionToken, Role, RoleConditions, Rule, User } from './types.js';

/** @throws TeleportError `BadParameter` naming every key that would restrict access and is not held to here */
export function checkServed(resource: AnyResource): void {
  const refused = refusedKeys(resource);
  if (refused.length === 0) return;
  const { name } = resource.metadata;
  // All in the message: a hint does not travel to the caller of the Auth Service.
  const mistakes = refused.map(
    ({ path, why, instead }) => `${resource.kind} "${name}": ${path} is not supported here: ${why}. ${instead}`,
  );
  throw new TeleportError('BadParameter', mistakesText(mistakes));
}

interface Refused {
  path: string;
  why: string;
  /** What to write instead. */
  instead: string;
}

function refusedKeys(resource: AnyResource): Refused[] {
  switch (resource.kind) {
    case 'role':
      return refusedOfRole(resource);
    case 'user':
      return refusedOfUser(resource);
    case 'db':
      return refusedOfDatabase(resource);
    case 'token':
      return refusedOfToken(resource);
    default:
      return [];
  }
}

/** Options whose other values would restrict access to databases. */
const REFUSED_OPTIONS: Record<string, { isDefault: (value: unknown) => boolean; why: string; instead: string }> = {
  device_trust_mode: {
    isDefault: (mode) => isOff(mode) || mode === 'off' || mode === 'optional',
    why: 'devices are not known to this cluster',
    instead: 'Leave out device_trust_mode, or set it to off.',
  },
  mfa_verification_interval: {
    isDefault: isNoDuration,
    why: 'a second factor is asked for at login only',
    instead: 'Leave out mfa_verification_interval, and set max_session_ttl.',
  },
  require_session_mfa: {
    isDefault: (mode) => !String(mode ?? '').startsWith('hardware_key'),
    why: 'hardware keys are not supported',
    instead: 'Set require_session_mfa to true or false.',
  },
};

function refusedOfRole({ spec }: Role): Refused[] {
  const options = Object.entries(REFUSED_OPTIONS)
    .filter(([name, { isDefault }]) => !isDefault(spec.options?.[name]))
    .map(([name, { why, instead }]) => ({ path: `spec.options.${name}`, why, instead }));
  const permissions = (['allow', 'deny'] as const)
    .filter((side) => isSet(spec[side]?.db_permissions))
    .map((side) => ({
      path: `spec.${side}.db_permissions`,
      why: 'no rights on single objects are given to automatic users',
      instead: 'Give them to a role of the database, and name that in db_roles.',
    }));
  return [...options, ...permissions, ...deadDenials(spec.deny ?? {}), ...excesses(spec.allow ?? {})];
}

/** Regular expressions that databases, their users and their names are held to. */
function patternsIn(conditions: RoleConditions, side: 'allow' | 'deny'): { path: string; entry: string }[] {
  const named = (['db_users', 'db_names'] as const).flatMap((list) =>
    (conditions[list] ?? []).map((entry, at) => ({ path: `spec.${side}.${list}[${at}]`, entry })),
  );
  const labelled = Object.entries(conditions.db_labels ?? {}).flatMap(([key, values]) =>
    [values].flat().map((entry) => ({ path: `spec.${side}.db_labels["${key}"]`, entry })),
  );
  return [...named, ...labelled].filter(({ entry }) => entry.startsWith('^') && entry.endsWith('$'));
}

/** Patterns that nothing is compared with: they would cost everybody time. */
const excesses = (allow: RoleConditions): Refused[] =>
  patternsIn(allow, 'allow').flatMap(({ path, entry }) => {
    const why = excessIn(entry);
    return why ? [{ path, why: `"${entry.slice(0, 100)}" ${why}`, instead: 'Ask for fewer, or write + or *.' }] : [];
  });

/** What is in a deny and can deny nothing: patterns, verbs, kinds and namespaces that there are not. Templates: `rbac/templates.ts`. */
function deadDenials(deny: RoleConditions): Refused[] {
  const { namespaces = [] } = deny;
  const isElsewhere = namespaces.length > 0 && !namespaces.includes('default') && !namespaces.includes('*');
  const elsewhere = {
    path: 'spec.deny.namespaces',
    why: 'everything is in the namespace default, so this deny would deny nothing',
    instead: 'Leave out namespaces.',
  };
  const dead = patternsIn(deny, 'deny')
    .filter(({ entry }) => !isPattern(entry))
    .map(({ path, entry }) => ({
      path,
      why: `"${entry}" ${excessIn(entry) ?? 'is not a regular expression as RE2 reads it'}`,
      instead: 'Correct the pattern.',
    }));
  return [...(isElsewhere ? [elsewhere] : []), ...dead, ...(deny.rules ?? []).flatMap(deadRule)];
}

/** Teleport 18's, and all of them. */
const VERBS = [
  '*',
  'list',
  'create',
  'read',
  'readnosecrets',
  'update',
  'delete',
  'rotate',
  'use',
  'enroll',
  'create_enroll_token',
];

/** Verbs that there are not, and kinds as `tctl get` takes them, where a rule wants the one in singular. */
function deadRule({ resources, verbs }: Rule, at: number): Refused[] {
  const path = `spec.deny.rules[${at}]`;
  const wrongVerbs = verbs
    .filter((verb) => !VERBS.includes(verb))
    .map((verb) => ({
      path: `${path}.verbs "${verb}"`,
      why: 'it is not a verb, and would deny nothing',
      instead: `Verbs are ${VERBS.join(', ')}.`,
    }));
  const wrongKinds = resources
    .filter((word) => kindOfWord(word) !== undefined && kindOfWord(word) !== word)
    .map((word) => ({
      path: `${path}.resources "${word}"`,
      why: 'rules call it otherwise, and this one would deny nothing',
      instead: `Write ${kindOfWord(word)}.`,
    }));
  return [...wrongVerbs, ...wrongKinds];
}

function refusedOfUser({ spec }: User): Refused[] {
  return spec.status?.is_locked
    ? [
        {
          path: 'spec.status.is_locked',
          why: 'a user is not locked by it',
          instead: 'Leave out status, and lock the user: tctl lock --user=NAME.',
        },
      ]
    : [];
}

function refusedOfDatabase({ spec }: Database): Refused[] {
  const protocol =
    spec.protocol === '' || spec.protocol === 'postgres'
      ? []
      : [
          {
            path: `spec.protocol "${spec.protocol}"`,
            why: 'PostgreSQL, Redshift and Redshift Serverless are served',
            instead: 'Set protocol to postgres.',
          },
        ];
  const labels = isSet(spec.dynamic_labels)
    ? [
        {
          path: 'spec.dynamic_labels',
          why: 'no commands are run for labels, so no role would see them',
          instead: 'Use labels under metadata.labels (static_labels in the configuration file).',
        },
      ]
    : [];
  return [...protocol, ...labels];
}

function refusedOfToken({ spec }: ProvisionToken): Refused[] {
  if (spec.join_method === 'iam' || !isSet(spec.allow)) return [];
  return [
    {
      path: 'spec.allow',
      why: 'with the join method "token" whoever has the token may join',
      instead: 'Leave out allow; keep the token secret and its life short.',
    },
  ];
}

function isOff(value: unknown): boolean {
  return value === undefined || value === null || value === '' || value === false || value === 0;
}

function isNoDuration(value: unknown): boolean {
  if (isOff(value)) return true;
  try {
    return typeof value === 'string' && parseDurationNanos(value) === 0n;
  } catch {
    return false;
  }
}
