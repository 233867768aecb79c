/**
 * Login with a password, as `tsh` does it with any second-factor setting: the challenge decides what is asked.
 *
 *     password ── begin ──> challenge ── OTP code ── finish ──> certificates
 *
 * Questions go to the terminal of `env`; nothing secret is kept. Spec: login-and-profile.md 2.
 */

import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { askSecret } from '../../cli/prompt.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { shellWord } from '../../shell-word.js';
import type { CertificateWish, ProxyClient } from '../../webapi/client.js';
import type { LoginAnswer } from '../../webapi/login-answer.js';

export interface PasswordOptions {
  user: string;
  /** The person named the user; otherwise a refusal says how. */
  isUserGiven: boolean;
  /** The cluster takes one-time codes at all. */
  takesCodes: boolean;
  /** Called once the password is there, before anything is sent. */
  onPassword: () => void;
}

/**
 * @param wish  may still be in the making while the password is typed
 * @throws TeleportError `BadParameter` without a terminal, `AccessDenied` with the proxy's text, `NotImplemented` for a
 *   user who has security keys only
 */
export async function signInByPassword(
  env: Env,
  client: ProxyClient,
  wish: Promise<CertificateWish>,
  { user, isUserGiven, takesCodes, onPassword }: PasswordOptions,
): Promise<LoginAnswer> {
  const password = await askSecret(env, `Enter password for Teleport user ${user}`, {
    withoutTerminal: 'cannot perform password login without a terminal',
  });
  onPassword();
  try {
    const challenge = await waitingFor(env, 'the proxy', client.begin(user, password));
    const isOtp = challenge.totp_challenge === true;
    if (!isOtp && challenge.webauthn_challenge) throw onlySecurityKeys(takesCodes);
    const totpCode = isOtp ? (await askSecret(env, 'Enter an OTP code from a device')).trim() : '';
    return await waitingFor(env, 'the certificates', client.finish({ ...(await wish), user, password, totpCode }));
  } catch (error) {
    if (isTeleportError(error, 'AccessDenied') && error.message.startsWith('missing second factor')) {
      throw new TeleportError('AccessDenied', error.message, { hint: noDevice(user, takesCodes), cause: error.cause });
    }
    if (isTeleportError(error, 'AccessDenied') && !isUserGiven) {
      env.stderr.write(`Logging in as "${user}". If that is not your Teleport user, name it with --user.\n`);
    }
    throw error;
  }
}

function onlySecurityKeys(takesCodes: boolean): TeleportError {
  const hint = takesCodes
    ? 'What works: a one-time code (add such a device to the user), single sign-on, or an identity file (-i FILE).'
    : 'The cluster accepts nothing else for passwords. What works: single sign-on, or an identity file (-i FILE).';
  return new TeleportError('NotImplemented', 'this user logs in with a security key, which is not supported', { hint });
}

/** The password was right, and the cluster had no device to ask for. */
function noDevice(user: string, takesCodes: boolean): string {
  return takesCodes
    ? `The cluster wants a one-time code, and "${user}" has no device for it. An administrator sends a link to add one: tctl users reset ${shellWord(user)}`
    : 'The cluster wants a security key, which is not supported. What works: single sign-on, or an identity file (-i FILE).';
}
