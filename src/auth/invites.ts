/**
 * Invitations and password resets: a link with a token, behind it a password and, where the cluster asks for one, a TOTP
 * device. One live token a user. Rules and texts: login-and-profile.md 4.
 */
import { randomBytes } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { hostOf } from '../host-port.js';
import { masked } from '../redact.js';
import { PASSWORD_BYTES } from '../resources/password-rule.js';
import type { UserToken } from '../resources/types.js';
import { keyOf } from '../store/store.js';
import { publicProxyAddr } from './proxies.js';
import { recorded, type Said } from './recorded.js';
import {
  changeSecrets,
  hashPassword,
  newDevice,
  newGeneration,
  newTotpSecret,
  resetSecrets,
  secretsOf,
  totpPeriod,
  totpUrl,
} from './secrets.js';
import type { AuthState } from './state.js';

export type InviteType = 'invite' | 'password';

const HOUR_MS = 3_600_000;
const TTL_MS = { invite: { usual: HOUR_MS, most: 48 * HOUR_MS }, password: { usual: 8 * HOUR_MS, most: 24 * HOUR_MS } };

/**
 * Make a link. A reset (`password`) first takes the old password and devices away, and ends what was issued on them.
 *
 * @throws TeleportError `NotFound` without such a user, `BadParameter` for a type or a life that is not allowed
 */
export async function createUserToken(
  state: AuthState,
  request: { user: string; type: string; ttlMs: number; by: string },
): Promise<UserToken> {
  const type: InviteType = request.type === 'password' ? 'password' : 'invite';
  if (request.type !== '' && request.type !== type) {
    throw new TeleportError('BadParameter', `unknown user token request type(${request.type})`);
  }
  const { usual, most } = TTL_MS[type];
  const ttlMs = request.ttlMs > 0 ? request.ttlMs : usual;
  if (ttlMs > most)
    throw new TeleportError(
      'BadParameter',
      `failed to create user token for ${type}: maximum token TTL is ${most / HOUR_MS}h0m0s`,
    );
  if ((await state.users.get(request.user)) === undefined) {
    throw new TeleportError('NotFound', `user "${request.user}" not found`);
  }
  const name = randomBytes(16).toString('hex');
  const now = state.now();
  const expires = new Date(now.getTime() + ttlMs).toISOString();
  const path = type === 'invite' ? 'invite' : 'reset';
  const token: UserToken = {
    kind: 'user_token',
    sub_kind: type,
    version: 'v3',
    metadata: { name, expires },
    spec: {
      user: request.user,
      url: `https://${(await publicProxyAddr(state)) ?? '<proxyhost>:3080'}/web/${path}/${name}`,
      created: now.toISOString(),
    },
  };
  const said: Said = [
    'reset_password_token.create',
    { name: request.user, user: request.by, ttl: `${ttlMs / 1000}s`, expires },
  ];
  await recorded(state, said, async () => {
    if (type === 'password') await resetSecrets(state, request.user);
    await deleteUserTokens(state, request.user);
    await state.userTokens.create(token);
  });
  return token;
}

export async function deleteUserTokens(state: AuthState, user: string): Promise<void> {
  for (const token of await state.userTokens.list()) {
    if (token.spec.user === user) await state.userTokens.delete(token.metadata.name);
  }
}

const totpKey = (token: string) => keyOf('user_token_secret', token);

/** Whose link it is, and whether a code is asked for: `off`, `optional`, `otp`. */
export interface OpenedToken {
  token: string;
  user: string;
  usage: string;
  secondFactor: string;
}

/**
 * Whose link it is. Changes nothing.
 *
 * @throws TeleportError `AccessDenied` `bad or expired token`
 */
export async function lookAtUserToken(state: AuthState, name: string): Promise<OpenedToken> {
  return opened(state, await liveToken(state, name));
}

/**
 * What the sign-up page shows. Every call makes a new TOTP secret, and only the last one counts.
 *
 * @throws TeleportError `AccessDenied` `bad or expired token`
 */
export async function openUserToken(state: AuthState, name: string): Promise<OpenedToken & { otpauthUrl: string }> {
  const token = await liveToken(state, name);
  const secret = newTotpSecret();
  await state.store.put(totpKey(name), JSON.stringify(secret), { expires: new Date(token.metadata.expires!) });
  const proxy = await publicProxyAddr(state);
  const host = hostOf(proxy ?? state.clusterName);
  return {
    ...opened(state, token),
    otpauthUrl: totpUrl(secret, `${token.spec.user}@${host}`, state.clusterName),
  };
}

async function liveToken(state: AuthState, name: string): Promise<UserToken> {
  const token = name === '' ? undefined : await state.userTokens.get(name);
  if (token === undefined) throw new TeleportError('AccessDenied', 'bad or expired token');
  return token;
}

function opened(state: AuthState, { metadata, sub_kind, spec }: UserToken): OpenedToken {
  return {
    token: metadata.name,
    user: spec.user,
    usage: sub_kind ?? 'invite',
    secondFactor: secondFactorOf(state),
  };
}

const secondFactorOf = (state: AuthState) => state.settings.preference.spec.second_factor;

export interface PasswordChange {
  token: string;
  password: Uint8Array;
  totpCode: string;
  deviceName: string;
  remoteAddr: string;
}

/** Use the link. A refusal leaves the token and its secret as they are. */
export async function changeUserPassword(state: AuthState, request: PasswordChange): Promise<void> {
  const { token: name, password } = request;
  const token = name === '' ? undefined : await state.userTokens.get(name);
  if (token === undefined) throw new TeleportError('NotFound', `user token(${masked(name)}) not found`);
  const { user } = token.spec;
  const { generation } = await secretsOf(state, user);
  if (password.length < PASSWORD_BYTES.least) {
    throw new TeleportError('BadParameter', `password is too short, min length is ${PASSWORD_BYTES.least}`);
  }
  if (password.length > PASSWORD_BYTES.most) {
    throw new TeleportError('BadParameter', `password is too long, max length is ${PASSWORD_BYTES.most}`);
  }
  const device = await deviceOf(state, request, user);
  const hash = await hashPassword(Buffer.from(password).toString('utf8'));
  const said: Said[] = [['user.password_change', { user, 'addr.remote': request.remoteAddr }]];
  if (device) {
    const { name: mfa_device_name, id: mfa_device_uuid } = device;
    said.push(['mfa.add', { user, mfa_device_name, mfa_device_uuid, mfa_device_type: 'TOTP' }]);
  }
  await recorded(state, said, async () => {
    // Whoever deletes the token is the one who uses it.
    if (!(await state.userTokens.delete(name)))
      throw new TeleportError('NotFound', `user token(${masked(name)}) not found`);
    await state.store.delete(totpKey(name));
    await changeSecrets(state, user, (before) => {
      // Deleted and made anew, or reset, while the link was in use: it was not for this one.
      if (before.generation !== generation)
        throw new TeleportError('NotFound', `user token(${masked(name)}) not found`);
      const isFirst = before.password_hash === undefined && (before.mfa ?? []).length === 0;
      const kept = isFirst ? generation : newGeneration();
      return { password_hash: hash, mfa: device ? [device] : [], ...(kept ? { generation: kept } : {}) };
    });
  });
}

async function deviceOf(state: AuthState, { token, totpCode, deviceName }: PasswordChange, user: string) {
  const setting = secondFactorOf(state);
  if (setting === 'off') return undefined;
  if (totpCode === '') {
    if (setting === 'optional') return undefined;
    throw new TeleportError('BadParameter', `no second factor sent during user "${user}" password reset`);
  }
  const item = await state.store.get(totpKey(token));
  const secret = item ? (JSON.parse(item.value) as string) : undefined;
  const period = secret === undefined ? undefined : totpPeriod(secret, totpCode, state.now());
  if (secret === undefined || period === undefined) {
    throw new TeleportError(
      'AccessDenied',
      'invalid one time token, please check if the token has expired and try again',
    );
  }
  return newDevice(secret, deviceName, period, state.now());
}

/** Password and device as a user resource shows them: 1 unset, 2 set; 1 unset, 2 TOTP. */
export async function credentialStatus(state: AuthState, user: string) {
  const secrets = await secretsOf(state, user);
  return {
    status: { password_state: secrets.password_hash ? 2 : 1, mfa_weakest_device: secrets.mfa?.length ? 2 : 1 },
    secrets,
  };
}
