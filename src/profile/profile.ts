/**
 * One profile, what `PROXY.yaml` holds: addresses of a proxy, user, cluster. Read and written in the key order of
 * Teleport 18.3.0 (login-and-profile.md 6.3). Pure text in and out; `disk-store.ts` knows the files.
 */
import { messageOf, TeleportError } from '../errors.js';
import { hostOf } from '../host-port.js';
import { yamlReason } from '../redact.js';
import { YAML_BOOLEAN } from '../yes-no.js';
import { CREDENTIAL_STORES, type CredentialStoreKind } from './secret.js';

export interface Profile {
  /** `host:port`; its host is the name of the profile. */
  webProxyAddr: string;
  sshProxyAddr?: string;
  kubeProxyAddr?: string;
  postgresProxyAddr?: string;
  mysqlProxyAddr?: string;
  mongoProxyAddr?: string;
  relayAddr?: string;
  defaultRelayAddr?: string;
  user?: string;
  /** Selected cluster, root or leaf. */
  cluster?: string;
  tlsRoutingEnabled?: boolean;
  tlsRoutingConnUpgradeRequired?: boolean;
  authConnector?: string;
  loadAllCas?: boolean;
  mfaMode?: string;
  privateKeyPolicy?: string;
  pivSlot?: string;
  /** Go duration. */
  pivPinCacheTtl?: string;
  /** Made from an identity file; the proxy was not asked yet. */
  missingClusterDetails?: boolean;
  samlSloEnabled?: boolean;
  /** Go duration. */
  sshDialTimeout?: string;
  ssoHost?: string;
  /** Our own key; real `tsh` ignores it, and leaves it out when it writes the file. Absent: files, and nobody has chosen. */
  credentialStore?: CredentialStoreKind;
  /** Keys of other programs, kept as they were read. */
  other?: Record<string, unknown>;
}

type Kind = 'text' | 'always' | 'flag' | 'always-flag';

/** Key of the file, our name, when it is written. `dir` is an internal field that real `tsh` writes empty. */
const FIELDS: readonly (readonly [string, keyof Profile | 'dir', Kind, string?])[] = [
  ['web_proxy_addr', 'webProxyAddr', 'text'],
  ['ssh_proxy_addr', 'sshProxyAddr', 'text'],
  ['kube_proxy_addr', 'kubeProxyAddr', 'text'],
  ['postgres_proxy_addr', 'postgresProxyAddr', 'text'],
  ['mysql_proxy_addr', 'mysqlProxyAddr', 'text'],
  ['mongo_proxy_addr', 'mongoProxyAddr', 'text'],
  ['relay_addr', 'relayAddr', 'text'],
  ['default_relay_addr', 'defaultRelayAddr', 'text'],
  ['user', 'user', 'text'],
  ['cluster', 'cluster', 'text'],
  ['dir', 'dir', 'always'],
  ['tls_routing_enabled', 'tlsRoutingEnabled', 'flag'],
  ['tls_routing_conn_upgrade_required', 'tlsRoutingConnUpgradeRequired', 'flag'],
  ['auth_connector', 'authConnector', 'text'],
  ['load_all_cas', 'loadAllCas', 'flag'],
  ['mfa_mode', 'mfaMode', 'text'],
  ['private_key_policy', 'privateKeyPolicy', 'always'],
  ['piv_slot', 'pivSlot', 'always'],
  ['piv_pin_cache_ttl', 'pivPinCacheTtl', 'always', '0s'],
  ['missingclusterdetails', 'missingClusterDetails', 'always-flag'],
  ['saml_slo_enabled', 'samlSloEnabled', 'flag'],
  ['ssh_dial_timeout', 'sshDialTimeout', 'text'],
  ['sso_host', 'ssoHost', 'text'],
  ['credential_store', 'credentialStore', 'text'],
];

/** The name of a profile: the host of its web address. */
export function profileName(profile: Profile): string {
  return hostOf(profile.webProxyAddr);
}

/** The text of `PROXY.yaml`. */
export function profileText(profile: Profile): string {
  const lines: string[] = [];
  for (const [key, name, kind, otherwise = ''] of FIELDS) {
    const value = name === 'dir' ? undefined : profile[name];
    if (kind === 'text' && value) lines.push(`${key}: ${scalar(String(value))}`);
    else if (kind === 'always') lines.push(`${key}: ${scalar(String(value ?? otherwise))}`);
    else if (kind === 'flag' && value === true) lines.push(`${key}: true`);
    else if (kind === 'always-flag') lines.push(`${key}: ${value === true}`);
  }
  // JSON is YAML: whatever another program keeps here stays readable for it.
  for (const [key, value] of Object.entries(profile.other ?? {})) lines.push(`${key}: ${JSON.stringify(value)}`);
  return `${lines.join('\n')}\n`;
}

/**
 * A profile from the text of `PROXY.yaml`.
 *
 * @param path  named in errors
 * @returns undefined when there is no `web_proxy_addr`: such a file counts as none
 * @throws TeleportError `BadParameter` naming file and line; the file is not touched
 */
export async function parseProfile(text: string, path: string): Promise<Profile | undefined> {
  const values = simpleLines(text) ?? (await yamlValues(text, path));
  const profile: Record<string, unknown> = {};
  const other: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const field = FIELDS.find(([name]) => name === key);
    if (field === undefined) other[key] = value;
    else if (field[1] !== 'dir') {
      const isFlag = field[2].endsWith('flag');
      const isRight = isFlag ? typeof value === 'boolean' : typeof value === 'string' || typeof value === 'number';
      if (value === null || value === '') continue;
      if (!isRight) throw broken(path, lineOf(text, key), `${key} must be ${isFlag ? 'true or false' : 'text'}`);
      // A place that we do not know must not turn into files.
      if (key === 'credential_store' && !CREDENTIAL_STORES.some((kind) => kind === value)) {
        throw broken(path, lineOf(text, key), `${key} must be ${CREDENTIAL_STORES.join(' or ')}`);
      }
      profile[field[1]] = isFlag ? value : String(value);
    }
  }
  if (Object.keys(other).length > 0) profile.other = other;
  return profile.webProxyAddr === undefined ? undefined : (profile as unknown as Profile);
}

/** The file as both programs write it, read without the YAML library; undefined when a line is anything else. */
function simpleLines(text: string): Record<string, unknown> | undefined {
  const values: Record<string, unknown> = {};
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const found =
      /^([a-z_]+): (?:(true|false)|""|([A-Za-z][\w.@/-]*(?::\d+)?|\d+(?:\.\d+){3}(?::\d+)?|\d+[a-z][\da-z]*))$/.exec(
        line,
      );
    const word = found?.[3];
    if (!found || found[1]! in values || (word !== undefined && (YAML_BOOLEAN.test(word) || AMBIGUOUS.test(word))))
      return undefined;
    values[found[1]!] = found[2] !== undefined ? found[2] === 'true' : (word ?? '');
  }
  return values;
}

const AMBIGUOUS = /^(null|0[xob].*)$/i;

async function yamlValues(text: string, path: string): Promise<Record<string, unknown>> {
  const { LineCounter, parseDocument } = await import('../yaml.js');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, logLevel: 'error' });
  const error = document.errors[0];
  if (error) throw broken(path, lineCounter.linePos(error.pos[0]).line, yamlReason(messageOf(error)));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 10 });
  } catch (error) {
    throw broken(path, 1, yamlReason(messageOf(error)));
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw broken(path, 1, 'a list of "key: value" is expected');
  return value as Record<string, unknown>;
}

function lineOf(text: string, key: string): number {
  const at = text.split('\n').findIndex((line) => line.trimStart().startsWith(`${key}:`));
  return at < 0 ? 1 : at + 1;
}

function broken(path: string, line: number, detail: string): TeleportError {
  return new TeleportError('BadParameter', `the profile ${path} cannot be read: line ${line}: ${detail}`, {
    hint: 'Correct that line, or remove the file and log in again with "tsh login".',
  });
}

function scalar(text: string): string {
  const isPlain = /^[A-Za-z0-9/][\w.@:/+-]*$/.test(text) && !text.endsWith(':');
  const isOther = AMBIGUOUS.test(text) || /^[-+\d._:]+(e[-+]?\d+)?$/i.test(text);
  const isAddress = /^\d+(\.\d+){3}(:\d+)?$/.test(text);
  return isPlain && (!isOther || isAddress) ? text : JSON.stringify(text);
}
