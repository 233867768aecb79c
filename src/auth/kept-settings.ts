/**
 * The settings of the cluster, of which there is one of each kind. At each start the configuration file wins where it says
 * something about a kind, and what was written before is gone; else what was written counts; else the defaults. Held in
 * memory, since every call needs them and nobody else writes into the store.
 */
import { TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import {
  type AnySettings,
  type CompletePreference,
  type ConfiguredSettings,
  checkListenerMode,
  type ListenerMode,
  nameOfSettings,
  numberOfMode,
  SETTINGS_NAMES,
  type SettingsKind,
  settingsOf,
} from '../resources/cluster-settings.js';
import { withDefaults } from '../resources/defaults.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import type { ResourceOfKind } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import type { Store } from '../store/store.js';
import { recordsOf } from './records.js';
import { inTurn } from './turns.js';

type Current = Pick<ResourceOfKind, SettingsKind>;

const KINDS = Object.keys(SETTINGS_NAMES) as SettingsKind[];

export class KeptSettings {
  readonly #store: Store;
  readonly #current: Current;
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #listenerMode: ListenerMode;

  private constructor(store: Store, current: Current, listenerMode: ListenerMode) {
    this.#store = store;
    this.#current = current;
    this.#listenerMode = listenerMode;
  }

  static async open(store: Store, configured: ConfiguredSettings, log: Logger): Promise<KeptSettings> {
    const current = await Promise.all(KINDS.map(async (kind) => [kind, await atStart(store, kind, configured, log)]));
    return new KeptSettings(
      store,
      Object.fromEntries(current) as unknown as Current,
      configured.listenerMode ?? 'multiplex',
    );
  }

  /** What is kept has its defaults, by `checked` and `settingsOf`. */
  get preference(): CompletePreference {
    return this.#current.cluster_auth_preference as CompletePreference;
  }

  of<K extends SettingsKind>(kind: K): ResourceOfKind[K] {
    const settings = this.#current[kind] as ResourceOfKind[K];
    if (kind !== 'cluster_networking_config') return settings;
    // The Proxy's ports are those of its start.
    const spec = { ...settings.spec, proxy_listener_mode: numberOfMode(this.#listenerMode) };
    return { ...settings, spec } as ResourceOfKind[K];
  }

  /** As it may be kept. @throws TeleportError for what may not */
  checked<K extends SettingsKind>(kind: K, given: ResourceOfKind[K]): ResourceOfKind[K] {
    const wanted: AnySettings = withDefaults<AnySettings>({ ...given, kind } as AnySettings);
    checkResource(wanted);
    if (wanted.kind === 'cluster_networking_config') {
      // In a message, separate looks like nothing said; `tctl` knows which it is.
      const { proxy_listener_mode: mode, ...spec } = wanted.spec;
      checkListenerMode(mode || undefined, this.#listenerMode);
      wanted.spec = spec;
    }
    const labels = { ...wanted.metadata.labels, [ORIGIN_LABEL]: 'dynamic' };
    return { ...wanted, metadata: { ...wanted.metadata, labels } } as AnySettings as ResourceOfKind[K];
  }

  /** @param expected  the revision to replace; undefined: whatever there is. @throws CompareFailed */
  async put<K extends SettingsKind>(kind: K, wanted: ResourceOfKind[K], expected?: string): Promise<void> {
    await inTurn(this.#turns, kind, async () => {
      if (expected !== undefined && expected !== (this.#current[kind].metadata.revision ?? '')) {
        throw new TeleportError(
          'CompareFailed',
          `${SETTINGS_NAMES[kind]} has changed in the meantime, read it again and repeat the change`,
        );
      }
      this.#current[kind] = await recordsOf(this.#store, kind).put(wanted);
    });
  }

  async reset<K extends SettingsKind>(kind: K): Promise<void> {
    await inTurn(this.#turns, kind, async () => {
      await recordsOf(this.#store, kind).delete(nameOfSettings(kind));
      this.#current[kind] = settingsOf(kind, {}, 'defaults');
    });
  }
}

async function atStart<K extends SettingsKind>(
  store: Store,
  kind: K,
  { [kind]: configured }: ConfiguredSettings,
  log: Logger,
): Promise<ResourceOfKind[K]> {
  const records = recordsOf(store, kind);
  const name = nameOfSettings(kind);
  const written = await records.get(name);
  if (!configured) return written ?? settingsOf(kind, {}, 'defaults');
  if (written) {
    await records.delete(name);
    log.warn('Settings that were written with tctl are replaced by those of the configuration file.', { kind });
  }
  return settingsOf(kind, configured as Partial<ResourceOfKind[K]['spec']>, 'config-file');
}
