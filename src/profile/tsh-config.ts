/**
 * What a person sets up for `tsh` in `/etc/tsh.yaml` and `~/.tsh/config/config.yaml`: aliases, headers, where keys are
 * kept. A missing file is fine, an unknown key is left alone. Spec: login-and-profile.md 9.
 */
import { devNull } from 'node:os';
import { messageOf, TeleportError } from '../errors.js';
import { fitsGlob } from '../glob.js';
import { yamlReason } from '../redact.js';
import { readIfThere } from '../small-file.js';
import { tshConfigPaths } from './paths.js';
import { CREDENTIAL_STORES, type CredentialStoreKind } from './secret.js';

export interface TshConfig {
  /** Alias → definition; a person's own beat those of the machine. */
  aliases: Record<string, string>;
  /** A person's own come first. */
  addHeaders: { proxy: string; headers: Record<string, string> }[];
  /** Where a login keeps private keys when nobody says it; real `tsh` does not know it. */
  credentialStore?: CredentialStoreKind | undefined;
}

/** Both files, merged. The YAML library is loaded only when there is one. */
export async function readTshConfig(base: string, vars: Record<string, string | undefined>): Promise<TshConfig> {
  const paths = tshConfigPaths(base, vars);
  const [machine, own] = await Promise.all([readOne(paths.machine), readOne(paths.own)]);
  return {
    aliases: { ...machine.aliases, ...own.aliases },
    addHeaders: [...own.addHeaders, ...machine.addHeaders],
    credentialStore: own.credentialStore ?? machine.credentialStore,
  };
}

/** Headers for requests to a proxy, by globs over `host:port`; an entry that comes first wins. */
export function headersFor(config: TshConfig, address: string): Record<string, string> {
  const matching = config.addHeaders.filter(({ proxy }) => fitsGlob(proxy, address, { single: '?' }));
  return Object.assign({}, ...matching.reverse().map(({ headers }) => headers));
}

async function readOne(path: string): Promise<TshConfig> {
  const config: TshConfig = { aliases: {}, addHeaders: [] };
  // How people say that there is none.
  const text = path === devNull ? undefined : await readIfThere(path);
  if (text === undefined || text.trim() === '') return config;
  const { parse } = await import('../yaml.js');
  let parsed: unknown;
  try {
    parsed = parse(text, { logLevel: 'error' });
  } catch (error) {
    const line = (error as { linePos?: { line: number }[] }).linePos?.[0]?.line;
    const where = line === undefined ? path : `${path}, line ${line}`;
    throw new TeleportError(
      'BadParameter',
      `failed to parse tsh configuration from ${where}: ${yamlReason(messageOf(error))}`,
    );
  }
  const {
    aliases,
    add_headers: addHeaders,
    credential_store: store,
  } = (isRecord(parsed) ? parsed : {}) as {
    aliases?: unknown;
    add_headers?: unknown;
    credential_store?: unknown;
  };
  if (store !== undefined) {
    config.credentialStore = CREDENTIAL_STORES.find((kind) => kind === store);
    // A word that we do not know must not turn into files.
    if (!config.credentialStore) {
      const words = CREDENTIAL_STORES.join(' or ');
      throw new TeleportError('BadParameter', `credential_store in ${path} must be ${words}`);
    }
  }
  for (const [name, definition] of Object.entries(isRecord(aliases) ? aliases : {})) {
    if (typeof definition === 'string') config.aliases[name] = definition;
  }
  for (const entry of Array.isArray(addHeaders) ? (addHeaders as unknown[]) : []) {
    if (!isRecord(entry) || typeof entry.proxy !== 'string' || !isRecord(entry.headers)) continue;
    const headers = Object.entries(entry.headers).filter(([name]) => /^[\w-]+$/.test(name));
    config.addHeaders.push({
      proxy: entry.proxy,
      headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value).replace(/[\r\n]/g, ' ')])),
    });
  }
  return config;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
