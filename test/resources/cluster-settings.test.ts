/** What may be said about a cluster, in a resource; the configuration file is held to the same (config.test.ts). */
import { originOf, settingsOf, withSettingsDefaults } from '../../src/resources/cluster-settings.js';
import { keptKeys } from '../../src/resources/kept-keys.js';
import type { AnyResource, AuthPreference } from '../../src/resources/types.js';
import { checkResource } from '../../src/resources/validate.js';

const resource = (kind: string, spec: object, metadata: object = {}) =>
  ({ kind, version: 'v2', metadata, spec }) as unknown as AnyResource;
const preference = (spec: object) => resource('cluster_auth_preference', spec) as AuthPreference;

test('what is not said has its default, and what is said stays', () => {
  expect(settingsOf('cluster_auth_preference', {}, 'defaults')).toEqual({
    kind: 'cluster_auth_preference',
    version: 'v2',
    metadata: { name: 'cluster-auth-preference', labels: { 'teleport.dev/origin': 'defaults' } },
    spec: {
      type: 'local',
      second_factor: 'otp',
      second_factors: ['otp'],
      default_session_ttl: '12h0m0s',
      disconnect_expired_cert: false,
      locking_mode: 'best_effort',
      allow_local_auth: true,
      signature_algorithm_suite: 'balanced-v1',
    },
  });
  const said = { second_factor: 'off', default_session_ttl: '1h', locking_mode: 'strict', u2f: { app_id: 'x' } };
  expect(withSettingsDefaults(preference(said)).spec).toMatchObject({ ...said, second_factors: [] });
  expect(originOf(preference({}))).toBe('defaults');
});

test.each<[string, string, object, string]>([
  ['', 'cluster_auth_preference', { type: 'saml' }, 'spec.type: saml is not supported'],
  ['', 'cluster_auth_preference', { second_factors: ['otp', 'webauthn'] }, 'second factor "webauthn" is not supported'],
  ['', 'cluster_auth_preference', { second_factor: 'sms' }, 'second factor "sms" is not supported'],
  [
    '',
    'cluster_auth_preference',
    { second_factor: 'off', second_factors: ['otp'] },
    'spec.second_factor: off contradicts second_factors: [otp]',
  ],
  ['', 'cluster_auth_preference', { require_session_mfa: 'hardware_key_touch' }, 'require_session_mfa: hardware_key'],
  ['', 'cluster_auth_preference', { require_session_mfa: 'maybe' }, 'spec.require_session_mfa: expected yes or no'],
  ['', 'cluster_auth_preference', { allow_local_auth: false }, 'spec.allow_local_auth: no is not supported'],
  ['', 'cluster_auth_preference', { device_trust: { mode: 'required' } }, 'device_trust.mode: required is not'],
  ['', 'cluster_auth_preference', { locking_mode: 'Strict' }, 'spec.locking_mode: expected one of best_effort, strict'],
  ['', 'cluster_auth_preference', { default_session_ttl: '-1h' }, 'spec.default_session_ttl: "-1h" is not a duration'],
  [
    '',
    'cluster_auth_preference',
    { hardware_key: { serial_number_validation: { enabled: true } } },
    'spec.hardware_key.serial_number_validation is not supported',
  ],
  [
    '',
    'cluster_networking_config',
    { client_idle_timeout: '-5m' },
    'spec.client_idle_timeout: "-5m" is not a duration',
  ],
  ['', 'session_recording_config', { encryption: { enabled: true } }, 'spec.encryption is not supported'],
])(
  'what would keep people out, or keep something secret, and is not held to is refused%s: %s %j',
  (_, kind, spec, message) => {
    expect(() => checkResource(resource(kind, spec))).toThrow(message);
  },
);

test('another version is refused', () => {
  const newer = { ...preference({}), version: 'v3' } as unknown as AnyResource;
  expect(() => checkResource(newer)).toThrow('cluster_auth_preference resource version "v3" is not supported');
});

test('settings do not expire', () => {
  const expiring = resource('cluster_networking_config', {}, { expires: '2099-01-01T00:00:00Z' });
  expect(() => checkResource(expiring)).toThrow('metadata.expires: settings of the cluster do not expire');
});

test.each<[string, object, string[]]>([
  ['cluster_auth_preference', { second_factor: 'otp', locking_mode: 'strict', message_of_the_day: 'x' }, []],
  [
    'cluster_auth_preference',
    { webauthn: { rp_id: 'x' }, okta: { sync_period: '1h' } },
    ['spec.okta', 'spec.webauthn'],
  ],
  ['cluster_auth_preference', { idp: { saml: { enabled: true } } }, []],
  ['cluster_auth_preference', { idp: { saml: { enabled: false } } }, ['spec.idp']],
  [
    'cluster_networking_config',
    { client_idle_timeout: '5m', keep_alive_interval: '5m0s', keep_alive_count_max: 3 },
    [],
  ],
  [
    'cluster_networking_config',
    { web_idle_timeout: '5m', keep_alive_count_max: 5 },
    ['spec.keep_alive_count_max', 'spec.web_idle_timeout'],
  ],
  ['session_recording_config', { mode: 'off', proxy_checks_host_keys: false }, ['spec.mode']],
])('what has no effect is named: %s %j', (kind, spec, kept) => {
  expect(keptKeys(resource(kind, spec))).toEqual(kept);
});
