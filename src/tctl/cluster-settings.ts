/** Settings of the cluster in `tctl`: one resource of each kind, read, written and reset. Source: cli.md 6.3 to 6.5. */
import type { AuthClient } from '../api/client.js';
import { fromMessage, type MessageOfKind, toMessage } from '../api/convert.js';
import type { withNote } from '../api/note.js';
import { TeleportError } from '../errors.js';
import {
  type AnySettings,
  checkListenerMode,
  originOf,
  SETTINGS_NAMES,
  type SettingsKind,
} from '../resources/cluster-settings.js';
import type { ResourceOfKind } from '../resources/types.js';

type CallOptions = ReturnType<typeof withNote>;
type Message<K extends SettingsKind> = MessageOfKind[K];

/** The methods of one kind. */
interface Methods<K extends SettingsKind> {
  get(client: AuthClient): Promise<Message<K>>;
  update(client: AuthClient, message: Message<K>, options: CallOptions): Promise<unknown>;
  upsert(client: AuthClient, message: Message<K>, options: CallOptions): Promise<unknown>;
  reset(client: AuthClient): Promise<unknown>;
  /** What was done by `tctl create`, in Teleport's word. */
  made: 'created' | 'updated';
}

const METHODS: { [K in SettingsKind]: Methods<K> } = {
  cluster_auth_preference: {
    get: ({ clusterConfig }) => clusterConfig.getAuthPreference({}),
    update: ({ clusterConfig }, authPreference, o) => clusterConfig.updateAuthPreference({ authPreference }, o),
    upsert: ({ clusterConfig }, authPreference, o) => clusterConfig.upsertAuthPreference({ authPreference }, o),
    reset: ({ clusterConfig }) => clusterConfig.resetAuthPreference({}),
    made: 'created',
  },
  cluster_networking_config: {
    get: ({ clusterConfig }) => clusterConfig.getClusterNetworkingConfig({}),
    update: ({ clusterConfig }, clusterNetworkConfig, o) =>
      clusterConfig.updateClusterNetworkingConfig({ clusterNetworkConfig }, o),
    upsert: ({ clusterConfig }, clusterNetworkConfig, o) =>
      clusterConfig.upsertClusterNetworkingConfig({ clusterNetworkConfig }, o),
    reset: ({ clusterConfig }) => clusterConfig.resetClusterNetworkingConfig({}),
    made: 'updated',
  },
  session_recording_config: {
    get: ({ clusterConfig }) => clusterConfig.getSessionRecordingConfig({}),
    update: ({ clusterConfig }, sessionRecordingConfig, o) =>
      clusterConfig.updateSessionRecordingConfig({ sessionRecordingConfig }, o),
    upsert: ({ clusterConfig }, sessionRecordingConfig, o) =>
      clusterConfig.upsertSessionRecordingConfig({ sessionRecordingConfig }, o),
    reset: ({ clusterConfig }) => clusterConfig.resetSessionRecordingConfig({}),
    made: 'updated',
  },
};

export async function fetchSettings<K extends SettingsKind>(client: AuthClient, kind: K): Promise<ResourceOfKind[K]> {
  return fromMessage(kind, await METHODS[kind].get(client));
}

export interface WriteSettings {
  force: boolean;
  confirm: boolean;
  notes: CallOptions;
}

/** `tctl create`. @returns what it says */
export async function createSettings(
  client: AuthClient,
  settings: AnySettings,
  { force, confirm, notes }: WriteSettings,
): Promise<string> {
  const now = await fetchSettings(client, settings.kind);
  if (!confirm) refuseConfigured(now);
  if (originOf(now) === 'dynamic' && !force) {
    throw new TeleportError('AlreadyExists', 'use -f or --force flag to overwrite', {
      cause: new TeleportError('AlreadyExists', `non-default ${SETTINGS_NAMES[settings.kind]} already exists`),
    });
  }
  await write('upsert', client, settings, now, notes);
  return `${SETTINGS_NAMES[settings.kind]} has been ${METHODS[settings.kind].made}`;
}

/** `tctl edit`, after `refuseConfigured`. @throws CompareFailed when somebody else wrote in between */
export async function updateSettings(client: AuthClient, settings: AnySettings, notes: CallOptions): Promise<string> {
  const now = await fetchSettings(client, settings.kind);
  await write('update', client, settings, now, notes);
  return `${SETTINGS_NAMES[settings.kind]} has been updated`;
}

async function write<K extends SettingsKind>(
  how: 'update' | 'upsert',
  client: AuthClient,
  settings: ResourceOfKind[K] & { kind: K },
  now: ResourceOfKind[K],
  notes: CallOptions,
): Promise<void> {
  // As it is written here: in the message, separate and nothing are the same.
  if (settings.kind === 'cluster_networking_config') {
    const running = now.spec.proxy_listener_mode === 1 ? 'multiplex' : 'separate';
    checkListenerMode(settings.spec.proxy_listener_mode, running);
  }
  await METHODS[settings.kind][how](client, toMessage<K>(settings.kind, settings), notes);
}

/** `tctl rm`. */
export async function resetSettings(client: AuthClient, kind: SettingsKind): Promise<string> {
  await METHODS[kind].reset(client);
  return `${SETTINGS_NAMES[kind]} has been reset to defaults`;
}

/** The file wins at the next start, so what is written here would be gone. @throws BadParameter */
export function refuseConfigured(now: AnySettings): void {
  if (originOf(now) !== 'config-file') return;
  throw new TeleportError(
    'BadParameter',
    `the ${SETTINGS_NAMES[now.kind]} stands in the configuration file of the Auth Service, which wins at each start`,
    {
      hint: 'Change it in the section "auth_service" there. To set something else until the next start, say "tctl create -f --confirm".',
    },
  );
}
