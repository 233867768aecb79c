/**
 * The system's keychain through keytar's interface: four calls, loaded when first used, each with a time limit. It fails
 * closed: where there is no keychain, or it is locked, or it hangs, the caller gets an error and never a file instead.
 */
import { TeleportError } from '../errors.js';

export interface Keychain {
  /** The secret of an account, or undefined. */
  get(account: string): Promise<string | undefined>;
  set(account: string, secret: string): Promise<void>;
  /** True when there was one. */
  delete(account: string): Promise<boolean>;
  /** All accounts of our service. */
  list(): Promise<string[]>;
}

/** The part of keytar that we use. */
export interface KeytarModule {
  getPassword(service: string, account: string): Promise<string | null>;
  setPassword(service: string, account: string, password: string): Promise<void>;
  deletePassword(service: string, account: string): Promise<boolean>;
  findCredentials(service: string): Promise<{ account: string; password: string }[]>;
}

export interface KeychainOptions {
  /** Name under which entries are kept. Default `teleshift`. */
  service?: string;
  /** Default 30 s: the system may be asking the person to unlock it. */
  timeoutMs?: number;
  load?: () => Promise<KeytarModule>;
}

/** A keychain; nothing is loaded or asked before the first call. */
export function openKeychain(options: KeychainOptions = {}): Keychain {
  const { service = 'teleshift', timeoutMs = 30_000, load = loadKeytar } = options;
  let loading: Promise<KeytarModule> | undefined;
  const ask = async <T>(what: string, call: (keytar: KeytarModule) => Promise<T>): Promise<T> => {
    loading ??= load();
    const work = loading.then(call);
    work.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    });
    try {
      return await Promise.race([work, late]);
    } catch (cause) {
      throw new TeleportError('AccessDenied', `the system keychain could not ${what}`, {
        cause,
        hint: 'Unlock the keychain and try again, or log in with --credential-store=file.',
      });
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    get: (account) => ask('be read', async (k) => (await k.getPassword(service, account)) ?? undefined),
    set: (account, secret) => ask('be written', (k) => k.setPassword(service, account, secret)),
    delete: (account) => ask('be written', (k) => k.deletePassword(service, account)),
    list: () => ask('be read', async (k) => (await k.findCredentials(service)).map((entry) => entry.account)),
  };
}

async function loadKeytar(): Promise<KeytarModule> {
  const loaded = (await import('keytar')) as unknown as { default?: KeytarModule } & KeytarModule;
  return loaded.default ?? loaded;
}
