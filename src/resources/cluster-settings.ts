/**
 * The settings of a cluster, one resource of each kind: what they are when nobody says anything, and what may be said, in
 * a resource or in the configuration file. Pure. Source: Teleport 18.3.0, `CheckAndSetDefaults` of each kind.
 */
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import { DEFAULT_SUITE } from '../pki/suites.js';
import { yesOrNo } from '../yes-no.js';
import { ORIGIN_LABEL } from './labels.js';
import type { AuthPreference, ResourceOfKind, SecondFactor } from './types.js';

export type SettingsKind = 'cluster_auth_preference' | 'cluster_networking_config' | 'session_recording_config';

export type AnySettings = ResourceOfKind[SettingsKind];

/** What messages call them. */
export const SETTINGS_NAMES: Record<SettingsKind, string> = {
  cluster_auth_preference: 'cluster auth preference',
  cluster_networking_config: 'cluster networking configuration',
  session_recording_config: 'session recording configuration',
};

export const isSettings = (kind: string): kind is SettingsKind => Object.hasOwn(SETTINGS_NAMES, kind);

/** What the configuration file says of each kind; nothing of a kind leaves it to `tctl`. */
export type ConfiguredSettings = { [K in SettingsKind]?: Partial<ResourceOfKind[K]['spec']> } & {
  /** One port of the Proxy for everything, or TLS routing off. Default `multiplex`. */
  listenerMode?: ListenerMode;
};

/** Where settings come from: the configuration file wins at each start, then what was written, then the defaults. */
export type SettingsOrigin = 'config-file' | 'dynamic' | 'defaults';

export const originOf = ({ metadata }: AnySettings): SettingsOrigin =>
  (metadata.labels?.[ORIGIN_LABEL] as SettingsOrigin | undefined) ?? 'defaults';

/** Its name, version and origin. */
export function settingsOf<K extends SettingsKind>(
  kind: K,
  spec: Partial<ResourceOfKind[K]['spec']>,
  origin: SettingsOrigin,
): ResourceOfKind[K] {
  const labels = { [ORIGIN_LABEL]: origin };
  const made = { kind, version: 'v2', metadata: { name: nameOfSettings(kind), labels }, spec };
  return withSettingsDefaults(made as unknown as ResourceOfKind[K]);
}

export const nameOfSettings = (kind: SettingsKind): string => kind.replaceAll('_', '-');

/** With its defaults. */
export type CompletePreference = AuthPreference & {
  spec: Required<Pick<AuthPreference['spec'], 'second_factor' | 'default_session_ttl'>>;
};

/** The same settings, complete. Nothing that is there is changed. */
export function withSettingsDefaults<R extends AnySettings>(settings: R): R {
  return {
    ...settings,
    version: settings.version ?? 'v2',
    metadata: { ...settings.metadata, name: nameOfSettings(settings.kind) },
    spec: { ...settings.spec, ...missingIn(settings) },
  };
}

type Members = Record<string, unknown>;

function missingIn({ kind, spec }: AnySettings): Members {
  const defaults = DEFAULTS[kind];
  const missing = Object.entries(defaults).filter(([name]) => [undefined, null, ''].includes(spec[name] as null));
  if (kind !== 'cluster_auth_preference') return Object.fromEntries(missing);
  const factor = secondFactorOf(spec as Signing, 'spec');
  const factors = { second_factor: factor, second_factors: factor === 'off' ? [] : ['otp'] };
  return { ...Object.fromEntries(missing), ...factors };
}

const DEFAULTS: Record<SettingsKind, Members> = {
  cluster_auth_preference: {
    type: 'local',
    default_session_ttl: '12h0m0s',
    disconnect_expired_cert: false,
    locking_mode: 'best_effort',
    allow_local_auth: true,
    signature_algorithm_suite: DEFAULT_SUITE,
  },
  cluster_networking_config: { keep_alive_interval: '5m0s', keep_alive_count_max: 3 },
  session_recording_config: { mode: 'node', proxy_checks_host_keys: true },
};

/** What may be said about signing in. The configuration file calls `allow_local_auth` `local_auth`. */
export interface Signing {
  type?: string | undefined;
  second_factor?: string | undefined;
  second_factors?: readonly string[] | undefined;
  require_session_mfa?: boolean | string | undefined;
  allow_local_auth?: boolean | undefined;
  device_trust?: { mode?: string | undefined } | undefined;
  default_session_ttl?: string | undefined;
  locking_mode?: string | undefined;
}

/** Names of keys at the place where they are written. */
export interface SigningPlace {
  /** `auth_service.authentication`, `spec`. */
  path: string;
  localAuth: 'local_auth' | 'allow_local_auth';
}

const FACTORS = ['off', 'otp', 'on', 'optional'] as const;
const LOCKING_MODES = ['best_effort', 'strict'];
const DEVICE_TRUST_MODES = ['off', 'optional', 'false', ''];

/** @throws TeleportError for what is wrong, and for what would keep people out while nothing here holds to it */
export function checkSigning(said: Signing, { path, localAuth }: SigningPlace): void {
  const refuse = (setting: string, hint: string): TeleportError =>
    new TeleportError('NotImplemented', `${path}.${setting} is not supported`, { hint });
  if (said.type && said.type !== 'local') {
    throw refuse(`type: ${said.type}`, 'People sign in to this cluster with a password: use "type: local".');
  }
  secondFactorOf(said, path);
  const mfa = said.require_session_mfa;
  if (String(mfa).startsWith('hardware_key')) {
    throw refuse(
      `require_session_mfa: ${mfa}`,
      'Hardware keys are not known here: use "require_session_mfa: yes" or "no".',
    );
  }
  if (typeof mfa === 'string' && yesOrNo(mfa) === undefined) {
    throw new TeleportError('BadParameter', `${path}.require_session_mfa: expected yes or no, got "${mfa}"`);
  }
  if (said.allow_local_auth === false) {
    throw refuse(`${localAuth}: no`, 'People sign in to this cluster with a password. Leave the setting out.');
  }
  const mode = said.device_trust?.mode;
  if (mode !== undefined && !DEVICE_TRUST_MODES.includes(mode)) {
    throw refuse(`device_trust.mode: ${mode}`, 'Devices are not known here: use "device_trust: {mode: off}".');
  }
  if (said.locking_mode && !LOCKING_MODES.includes(said.locking_mode)) {
    throw new TeleportError(
      'BadParameter',
      `${path}.locking_mode: expected one of ${LOCKING_MODES.join(', ')}, got "${said.locking_mode}"`,
    );
  }
  if (said.default_session_ttl) checkDuration(said.default_session_ttl, `${path}.default_session_ttl`, '12h or 30m');
}

/** @throws TeleportError `BadParameter` for what is not a duration, or not longer than nothing */
function checkDuration(text: string, path: string, example: string): void {
  if ((goDurationMs(text) ?? 0) > 0) return;
  throw new TeleportError('BadParameter', `${path}: "${text}" is not a duration`, { hint: `Write it as ${example}.` });
}

/** By its one name, `second_factor`, or its newer list; without both `otp`. @throws TeleportError */
export function secondFactorOf(
  { second_factor: named, second_factors: list = [] }: Signing,
  path: string,
): SecondFactor {
  const unknown = list.find((factor) => factor !== 'otp') ?? (isFactor(named) ? undefined : named);
  if (unknown !== undefined) {
    throw new TeleportError('NotImplemented', `second factor "${unknown}" is not supported by this Auth Service`, {
      hint: 'Use "second_factor: otp" (or off, on, optional).',
    });
  }
  if (named === 'off' && list.length > 0) {
    throw new TeleportError('BadParameter', `${path}.second_factor: off contradicts second_factors: [${list}]`, {
      hint: 'Leave one of them out.',
    });
  }
  return (named || 'otp') as SecondFactor;
}

const isFactor = (word: string | undefined): boolean => !word || (FACTORS as readonly string[]).includes(word);

/** @throws TeleportError for settings that may not be kept */
export function checkSettings(settings: AnySettings): void {
  const { kind, version } = settings as { kind: string; version?: string };
  if (version && version !== 'v2') {
    throw new TeleportError('BadParameter', `${kind} resource version ${JSON.stringify(version)} is not supported`);
  }
  if (settings.metadata?.expires) {
    throw new TeleportError('BadParameter', 'metadata.expires: settings of the cluster do not expire', {
      hint: 'Leave it out, and reset them with "tctl rm" when they have served.',
    });
  }
  if (settings.kind === 'cluster_auth_preference') checkPreference(settings);
  else if (settings.kind === 'cluster_networking_config') checkIdleTimeout(settings.spec.client_idle_timeout, 'spec');
  else if ((settings.spec.encryption as { enabled?: boolean } | undefined)?.enabled) {
    throw new TeleportError('NotImplemented', 'spec.encryption is not supported', {
      hint: 'The audit log is signed, not encrypted: leave encryption out, and encrypt the disk.',
    });
  }
}

/** `never`, and no time at all, are none. @throws TeleportError `BadParameter` */
export function checkIdleTimeout(text: string | undefined, path: string): void {
  if (!text || ['never', '0s', '0'].includes(text)) return;
  checkDuration(text, `${path}.client_idle_timeout`, '30m, 1h or "never"');
}

function checkPreference({ spec }: AuthPreference): void {
  checkSigning(spec as Signing, { path: 'spec', localAuth: 'allow_local_auth' });
  const { serial_number_validation: serial } = (spec.hardware_key ?? {}) as Record<string, { enabled?: boolean }>;
  if (serial?.enabled) {
    throw new TeleportError('NotImplemented', 'spec.hardware_key.serial_number_validation is not supported', {
      hint: 'Hardware keys are not known here: leave hardware_key out.',
    });
  }
}

export type ListenerMode = 'multiplex' | 'separate';

/**
 * The Proxy has its ports from its start on.
 *
 * @param given  as a word or a number; undefined: whatever it is
 */
export function checkListenerMode(given: unknown, running: ListenerMode): void {
  if (given === undefined || given === null || given === running || given === numberOfMode(running)) return;
  throw new TeleportError('BadParameter', 'spec.proxy_listener_mode cannot change while the cluster runs', {
    hint: `It is ${running}. Set auth_service.proxy_listener_mode in the configuration file of the Auth Service, and start it and the Proxy again.`,
  });
}

export const numberOfMode = (mode: ListenerMode): number => (mode === 'separate' ? 0 : 1);
