/**
 * A person signs in: begin asks for the password and says what else is needed, finish takes everything and issues the
 * certificates. Rules and texts: login-and-profile.md 2.1, 2.3 to 2.5. Unknown, wrong and locked look alike in begin.
 *
 *     begin(user, password) ── which challenge ──> finish(user, password, code, keys) ── certificates
 *
 * Where this differs from Teleport, and why: failures are counted by network, and a correct password in begin does not forget
 * them (see `guesses.ts`).
 */
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { ipOf, networkOf, siteOf } from '../ip.js';
import { unrecordedField } from './join-limits.js';
import { acceptTotp, changeSecrets, isPassword, secretsOf, type UserSecrets } from './secrets.js';
import { type AuthState, record } from './state.js';
import { inTurn } from './turns.js';
import { certificatesAtLogin, type LoginRequest, readPublicKeys, type UserCertificates } from './user-certs.js';

export interface LoginBegin {
  user: string;
  password: string;
  remoteAddr: string;
}

/** @throws TeleportError `AccessDenied` `invalid credentials`, whatever is wrong */
export async function loginBegin(state: AuthState, request: LoginBegin): Promise<{ totpChallenge: boolean }> {
  try {
    return await attempt(state, request, async ({ user, secrets, isRight }) => {
      if (user !== undefined && isRight) {
        return {
          totpChallenge: state.settings.preference.spec.second_factor !== 'off' && (secrets.mfa?.length ?? 0) > 0,
        };
      }
      countFailure(state, request, secrets, user !== undefined);
      throw new TeleportError('AccessDenied', LOCKED);
    });
  } catch (cause) {
    if (!isTeleportError(cause, 'AccessDenied')) throw cause;
    const error = new TeleportError('AccessDenied', 'invalid credentials');
    await recordLogin(state, request, error);
    throw error;
  }
}

const LOCKED = 'too many incorrect attempts, please try again later';

export interface LoginFinish extends LoginBegin {
  totpCode: string;
  ssh: Uint8Array;
  tls: Uint8Array;
  /** 0: the cluster's default. */
  ttlMs: number;
  routeToCluster: string;
  compatibility: string;
  userAgent: string;
}

/** @throws TeleportError `AccessDenied` with the texts of 2.5, `BadParameter` without a public key */
export async function loginFinish(state: AuthState, request: LoginFinish): Promise<UserCertificates> {
  const keys = readPublicKeys(request, "'ssh_pub_key' or 'tls_pub_key' must be set");
  try {
    const proven = await attempt(state, request, (checked) => authenticate(state, request, checked));
    const certificates = await certificatesAtLogin(state, { ...request, ...proven, keys });
    await recordLogin(state, request, undefined);
    return certificates;
  } catch (error) {
    await recordLogin(state, request, error);
    throw error;
  }
}

/**
 * All attempts wait in one place, which has a bound: by 48 bits of IPv6, and by network. Where she has been before, she does not
 * wait behind those who guess elsewhere.
 *
 * @throws TeleportError `AccessDenied` for who is locked out, `LimitExceeded` where too many wait
 */
async function attempt<T>(state: AuthState, request: LoginBegin, work: (checked: Checked) => Promise<T>): Promise<T> {
  const before = await secretsOf(state, request.user);
  const from = ipOf(request.remoteAddr) ?? request.remoteAddr;
  return await state.passwordTurns.take(networkOf(from), () => attemptInLine(state, request, work), {
    site: siteOf(from),
    goesFirst: state.guesses.knows(before, request.remoteAddr),
  });
}

/**
 * One attempt at a time for each user and each network where she has been, and one from all others, so that no burst slips past
 * the lock-out. Whoever is locked out holds up nobody: he waits as long as others do, but outside of the line.
 */
async function attemptInLine<T>(
  state: AuthState,
  request: LoginBegin,
  work: (checked: Checked) => Promise<T>,
): Promise<T> {
  const before = await secretsOf(state, request.user);
  const line = state.guesses.lineOf(request.user, before, request.remoteAddr);
  const outcome = await inTurn(state.turns, line, async () => {
    const secrets = await secretsOf(state, request.user);
    if (state.guesses.isLocked(request.user, secrets, request.remoteAddr)) return undefined;
    return { result: await work(await check(state, request)) };
  });
  if (outcome) return outcome.result;
  await check(state, request);
  throw new TeleportError('AccessDenied', LOCKED);
}

type Checked = Awaited<ReturnType<typeof check>>;

async function authenticate(
  state: AuthState,
  request: LoginFinish,
  { user, secrets, isRight }: Checked,
): Promise<Proven> {
  const setting = state.settings.preference.spec.second_factor;
  const usesCode = request.totpCode !== '' && setting !== 'off';
  const wrong = new TeleportError(
    'AccessDenied',
    usesCode ? 'invalid username, password or second factor' : 'invalid username or password',
  );
  if (user === undefined || !isRight) {
    countFailure(state, request, secrets, user !== undefined);
    throw wrong;
  }
  if (!usesCode && (setting === 'otp' || setting === 'on')) {
    throw new TeleportError('AccessDenied', 'missing second factor');
  }
  if (!usesCode && setting === 'optional' && (secrets.mfa?.length ?? 0) > 0) {
    throw new TeleportError('AccessDenied', 'missing second factor authentication');
  }
  const device = usesCode ? await acceptTotp(state, request.user, request.totpCode) : undefined;
  if (usesCode && device === undefined) {
    countFailure(state, request, secrets, true);
    throw wrong;
  }
  const change = state.guesses.succeeded(request.user, secrets, request.remoteAddr);
  if (change) await changeSecrets(state, request.user, (now) => ({ ...now, ...change }));
  // The generation of the password that was right, not of one that somebody has set meanwhile.
  return { user, generation: secrets.generation, device: device?.id };
}

type Proven = Pick<LoginRequest, 'user' | 'generation' | 'device'>;

/** The password is always tried, also for unknown and locked users, so that all of them take the same time. */
async function check(state: AuthState, { user: name, password }: LoginBegin) {
  const [user, secrets] = await Promise.all([state.users.get(name), secretsOf(state, name)]);
  const isRight = (await isPassword(state, user ? secrets : {}, password)) && user !== undefined;
  return { user, secrets, isRight };
}

/** It counts at once, and is stored after the answer: how long the answer takes must not say whether there is such a user. */
function countFailure(state: AuthState, request: LoginBegin, secrets: UserSecrets, exists: boolean): void {
  const guesses = state.guesses.failed(request.user, secrets, request.remoteAddr);
  if (!exists) return;
  setImmediate(() => {
    changeSecrets(state, request.user, (now) =>
      now.generation === secrets.generation ? { ...now, guesses } : undefined,
    ).catch((error: unknown) => state.log.warn('A failed login could not be stored.', { error: messageOf(error) }));
  });
}

const MAX_RECORDED_NAME_CHARS = 256;

/** Failures as far as a person could read them; who found no turn has tried nothing, and there can be any number of them. */
async function recordLogin(
  state: AuthState,
  { user, remoteAddr, ...request }: LoginBegin | LoginFinish,
  error: unknown,
): Promise<void> {
  const common = {
    // Whoever fails to log in may write little into the audit log.
    user: user.slice(0, MAX_RECORDED_NAME_CHARS),
    method: 'local',
    'addr.remote': remoteAddr,
    user_agent: 'userAgent' in request ? request.userAgent.slice(0, MAX_RECORDED_NAME_CHARS) : '',
  };
  if (error === undefined) return await record(state, 'user.login', 'ok', { ...common, success: true });
  if (isTeleportError(error, 'LimitExceeded')) return;
  const unrecorded = state.loginRefusals.next();
  if (unrecorded === undefined) return;
  const text = messageOf(error);
  const why = { success: false, error: text, message: text };
  await record(state, 'user.login', 'failed', { ...common, ...why, ...unrecordedField(unrecorded) });
}
