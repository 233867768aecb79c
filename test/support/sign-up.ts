/**
 * What a person does with an invitation link, without a browser: reads the QR code, sends password and first code. Gives
 * back the person with the codes of their authenticator. Source: login-and-profile.md 4.3.
 */
import { request } from 'node:https';
import { Secret, TOTP } from 'otpauth';
import { readQr } from './qr.js';

export interface Person {
  user: string;
  password: string;
  /** Base32; undefined where the cluster has no second factor. */
  totpSecret: string | undefined;
  /** The code of now, or of another 30 s period. */
  code(shift?: number): string;
  /** A code that was not used yet, waiting for it where the clock has to move on. Empty without a second factor. */
  freshCode(): Promise<string>;
}

const PERIOD_S = 30;

/**
 * Finish an invitation. The first code is that of the period before, so that the code of now is left for the login.
 *
 * @param inviteUrl  as `tctl users add` prints it
 * @param webCaPem  the Proxy's web certificate, or its authority
 * @param options.withoutCode  where the cluster asks for none
 */
export async function signUp(
  inviteUrl: string,
  webCaPem: string,
  options: { password: string; withoutCode?: boolean },
): Promise<Person> {
  const { password } = options;
  const { origin, pathname } = new URL(inviteUrl);
  const token = pathname.split('/').at(-1) ?? '';
  const opened = await call(`${origin}/webapi/users/password/token/${token}`, webCaPem);
  const user = String(opened.user);
  const totpSecret = options.withoutCode ? undefined : await secretOfQr(String(opened.qrCode));
  const send = async () => {
    const person = personOf(user, password, totpSecret);
    await call(`${origin}/webapi/users/password/token`, webCaPem, {
      token,
      password: Buffer.from(password).toString('base64'),
      second_factor_token: totpSecret === undefined ? '' : person.code(-1),
    });
    return person;
  };
  // A code may end between here and there; the next one does not.
  return await send().catch(send);
}

export function personOf(user: string, password: string, totpSecret: string | undefined): Person {
  const totp = totpSecret === undefined ? undefined : new TOTP({ secret: Secret.fromBase32(totpSecret) });
  const periodNow = () => Math.floor(Date.now() / 1000 / PERIOD_S);
  const codeOf = (period: number) => totp?.generate({ timestamp: period * PERIOD_S * 1000 }) ?? '';
  let used = periodNow() - 1;
  return {
    user,
    password,
    totpSecret,
    code: (shift = 0) => codeOf(periodNow() + shift),
    async freshCode() {
      if (totp === undefined) return '';
      used = Math.max(used + 1, periodNow());
      // One period ahead is accepted; a later one is not.
      const waitMs = (used - 1) * PERIOD_S * 1000 - Date.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      return codeOf(used);
    },
  };
}

/** The secret behind the picture that the sign-up page shows. @param png  base64 */
async function secretOfQr(png: string): Promise<string> {
  return new URL((await readQr(png)).text).searchParams.get('secret') ?? '';
}

/** GET, or PUT with a body; the JSON of the answer. @throws Error with status and text of a refusal */
export function call(url: string, webCaPem: string, put?: object): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const message = request(url, {
      method: put ? 'PUT' : 'GET',
      ca: webCaPem,
      agent: false,
      headers: { 'content-type': 'application/json' },
    });
    message.on('error', reject);
    message.on('response', async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      if (response.statusCode !== 200) reject(new Error(`${response.statusCode} ${text}`));
      else resolve(JSON.parse(text));
    });
    message.end(put && JSON.stringify(put));
  });
}
