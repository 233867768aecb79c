/** Settings of the cluster as administrators read and write them: who may, and what is written to the audit log. */
import { TeleportError } from '../errors.js';
import { nameOfSettings, originOf, SETTINGS_NAMES, type SettingsKind } from '../resources/cluster-settings.js';
import type { ResourceOfKind } from '../resources/types.js';
import { recorded } from './recorded.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { nameOf, type Who } from './who.js';

const EVENTS = {
  cluster_auth_preference: 'auth_preference.update',
  cluster_networking_config: 'cluster_networking_config.update',
  session_recording_config: 'session_recording_config.update',
} as const satisfies Record<SettingsKind, string>;

export function getSettings<K extends SettingsKind>(state: AuthState, who: Who, kind: K): ResourceOfKind[K] {
  requireRule(who, kind, 'read');
  return state.settings.of(kind);
}

/** Replace whatever there is. It counts at once, until a configuration file says something else at a start. */
export async function upsertSettings<K extends SettingsKind>(
  state: AuthState,
  who: Who,
  kind: K,
  given: ResourceOfKind[K],
): Promise<ResourceOfKind[K]> {
  requireRule(who, kind, 'create', 'update');
  return await write(state, who, kind, given);
}

/** Replace what the caller has read. @throws CompareFailed */
export async function updateSettings<K extends SettingsKind>(
  state: AuthState,
  who: Who,
  kind: K,
  given: ResourceOfKind[K],
): Promise<ResourceOfKind[K]> {
  requireRule(who, kind, 'update');
  return await write(state, who, kind, given, given.metadata.revision ?? '');
}

async function write<K extends SettingsKind>(
  state: AuthState,
  who: Who,
  kind: K,
  given: ResourceOfKind[K],
  expected?: string,
): Promise<ResourceOfKind[K]> {
  const wanted = state.settings.checked(kind, given);
  const said = { name: nameOfSettings(kind), user: nameOf(who) };
  await recorded(state, [EVENTS[kind], said], () => state.settings.put(kind, wanted, expected));
  return state.settings.of(kind);
}

/** @throws BadParameter for what stands in the configuration file */
export async function resetSettings<K extends SettingsKind>(
  state: AuthState,
  who: Who,
  kind: K,
): Promise<ResourceOfKind[K]> {
  requireRule(who, kind, 'update');
  if (originOf(state.settings.of(kind)) === 'config-file') {
    throw new TeleportError(
      'BadParameter',
      `the ${SETTINGS_NAMES[kind]} stands in the configuration file of the Auth Service, and cannot be reset while it does`,
    );
  }
  const said = { name: nameOfSettings(kind), user: nameOf(who) };
  await recorded(state, [EVENTS[kind], said], () => state.settings.reset(kind));
  return state.settings.of(kind);
}
