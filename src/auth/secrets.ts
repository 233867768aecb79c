/**
 * What a local user proves who she is with: password hash, TOTP devices, and the failures that were counted (`guesses.ts`). Kept
 * apart from the user resource, so that writing the resource cannot lose or show it.
 *
 * A user has a generation, and every certificate of hers carries it. A reset, or a user made anew under an old name, has
 * another one: what was issued before is worth nothing. A user of an older store has none until then, and neither have her
 * certificates.
 *
 * Sources: login-and-profile.md 2.5 and 4; RFC 6238 for TOTP.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { loadNative } from '../errors.js';
import type { TotpDevice } from '../resources/types.js';
import { keyOf } from '../store/store.js';
import type { GuessedAt } from './guesses.js';
import { changeJson } from './records.js';
import type { AuthState } from './state.js';

export interface UserSecrets extends GuessedAt {
  password_hash?: string;
  mfa?: TotpDevice[];
  generation?: string;
}

export const TOTP_PERIOD_S = 30;

/** Folder of the store. */
export const SECRETS = 'user_secrets';
const keyFor = (user: string) => keyOf(SECRETS, user);

export async function secretsOf(state: AuthState, user: string): Promise<UserSecrets> {
  const item = await state.store.get(keyFor(user));
  return item ? (JSON.parse(item.value) as UserSecrets) : {};
}

export const changeSecrets = (
  state: AuthState,
  user: string,
  change: (secrets: UserSecrets) => UserSecrets | undefined,
): Promise<UserSecrets> => changeJson<UserSecrets>(state.store, keyFor(user), {}, change);

export async function forgetSecrets(state: AuthState, user: string): Promise<boolean> {
  state.guesses.forget(user);
  return await state.store.delete(keyFor(user));
}

/** For a user who is about to be made: of one who had the name before, nothing is left. */
export async function freshSecrets(state: AuthState, user: string): Promise<void> {
  state.guesses.forget(user);
  await state.store.put(keyFor(user), JSON.stringify({ generation: newGeneration() } satisfies UserSecrets));
}

/** Take password and devices away, and end what was issued on them. */
export async function resetSecrets(state: AuthState, user: string): Promise<void> {
  state.guesses.forget(user);
  await changeSecrets(state, user, () => ({ generation: newGeneration() }));
}

export const newGeneration = (): string => randomBytes(8).toString('hex');

// Passwords

const argon2 = () => loadNative('@node-rs/argon2', () => import('@node-rs/argon2'));

/** argon2id with the library's parameters (19 MiB, 2 passes), which the encoded hash carries. */
export async function hashPassword(password: string): Promise<string> {
  const { hash } = await argon2();
  return await hash(password);
}

/** True when the password is right. Takes the same time whether or not there is a hash. */
export async function isPassword(state: AuthState, secrets: UserSecrets, password: string): Promise<boolean> {
  const { verify } = await argon2();
  const matches = await verify(secrets.password_hash ?? state.decoyHash, password).catch(() => false);
  return matches && secrets.password_hash !== undefined;
}

// One-time codes

/** 20 random bytes as 32 base32 characters. */
export const newTotpSecret = (): string => new Secret({ size: 20 }).base32;

/** The `otpauth://` address that a QR code shows. */
export function totpUrl(secret: string, account: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account).replaceAll('%40', '@').replaceAll('%3A', ':')}`;
  const query = `algorithm=SHA1&digits=6&issuer=${encodeURIComponent(issuer)}&period=${TOTP_PERIOD_S}&secret=${secret}`;
  return `otpauth://totp/${label}?${query}`;
}

/** The 30 s period a code belongs to, one before and one after now allowed; undefined for a wrong code. */
export function totpPeriod(secret: string, code: string, now: Date): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const totp = new TOTP({ secret: Secret.fromBase32(secret), algorithm: 'SHA1', digits: 6, period: TOTP_PERIOD_S });
  const delta = totp.validate({ token: code, window: 1, timestamp: now.getTime() });
  return delta === null ? undefined : Math.floor(now.getTime() / 1000 / TOTP_PERIOD_S) + delta;
}

/**
 * Accept a code once: the period of the device moves on, and no code of that period or an earlier one counts again.
 *
 * @returns the device, or undefined when no device accepts the code
 */
export async function acceptTotp(state: AuthState, user: string, code: string): Promise<TotpDevice | undefined> {
  let accepted: TotpDevice | undefined;
  await changeSecrets(state, user, (secrets) => {
    accepted = undefined;
    for (const device of secrets.mfa ?? []) {
      const period = totpPeriod(device.totp_key, code, state.now());
      if (period === undefined || period <= (device.last_period ?? -1)) continue;
      accepted = { ...device, last_period: period };
      break;
    }
    if (accepted === undefined) return undefined;
    return { ...secrets, mfa: (secrets.mfa ?? []).map((device) => (device.id === accepted!.id ? accepted! : device)) };
  });
  return accepted;
}

export function newDevice(secret: string, name: string, period: number, now: Date): TotpDevice {
  return { id: randomUUID(), name: name || 'otp', added_at: now.toISOString(), totp_key: secret, last_period: period };
}
