/**
 * Single sign-on: the person logs in where they always do, in a browser, and the Proxy hands the certificates back to a
 * listener on this machine. Spec: login-and-profile.md 3.1.
 *
 *     listen ── POST …/login/console ──> link, browser ── identity provider ── Proxy ──> callback, certificates
 */

import { openBrowser } from '../../cli/browser.js';
import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { confirm } from '../../cli/prompt.js';
import { TeleportError } from '../../errors.js';
import type { Profile } from '../../profile/profile.js';
import { VERSION } from '../../version.js';
import { inTime } from '../../wait.js';
import type { SsoType } from '../../webapi/addresses.js';
import type { CertificateWish, ProxyClient, SsoLoginStart } from '../../webapi/client.js';
import type { LoginAnswer } from '../../webapi/login-answer.js';
import { yesOrNo } from '../../yes-no.js';
import type { BrowserArgs } from './args.js';
import { openSsoCallback, type SsoTarget } from './sso-callback.js';

export interface SsoConnector {
  type: SsoType;
  name: string;
}

const STRANGER =
  'WARNING: something answered that is not the proxy (an old tab, another page): ignored, the login goes on. If the browser says that it failed, press Ctrl-C and repeat it.\n';
/** As long as Teleport's own. */
const CALLBACK_TIMEOUT_MS = 180_000;

/**
 * @param options.timeoutMs  how long the person may take; default 180 s
 * @throws TeleportError `BadParameter` for flags that do not fit, `AccessDenied` with the text of the Proxy or the identity
 *   provider, `ConnectionProblem` when nobody came back in time; what `env.signal` says on Ctrl-C
 */
export async function signInBySso(
  env: Env,
  { client, profile }: { client: Pick<ProxyClient, 'startSso'>; profile: Pick<Profile, 'webProxyAddr'> },
  connector: SsoConnector,
  wish: CertificateWish,
  args: BrowserArgs,
  options: { timeoutMs?: number } = {},
): Promise<LoginAnswer> {
  const { bindAddr, callback } = args;
  const browser = args.browser || args.browserLogin;
  if (callback && !bindAddr) throw new TeleportError('BadParameter', '--callback must be used with --bind-addr');
  const baseUrl = callback ? await callbackBase(env, callback, bindAddr!) : undefined;
  const onStranger = () => void env.stderr.write(STRANGER);
  await using listener = await openSsoCallback({ bindAddr, baseUrl, webProxyAddr: profile.webProxyAddr, onStranger });
  const start = await waitingFor(
    env,
    'the proxy',
    client.startSso({
      ...wish,
      connectorType: connector.type,
      connector: connector.name,
      callbackUrl: listener.callbackUrl,
      clientVersion: VERSION,
    }),
  );
  const link = listener.linkTo(targetOf(start));
  if (browser === 'none') {
    env.stderr.write(`Use the following URL to authenticate:\n ${link}\n`);
  } else {
    const failure = await openBrowser(env, link);
    if (failure !== undefined) env.stderr.write(`Failed to open a browser window for login: ${failure}\n`);
    env.stderr.write(`If browser window does not open automatically, open it by clicking on the link:\n ${link}\n`);
  }
  return await untilCallback(env, listener.answer, options.timeoutMs ?? CALLBACK_TIMEOUT_MS);
}

/** `--callback` as a URL, once the person has agreed that credentials go there. */
async function callbackBase(env: Env, callback: string, bindAddr: string): Promise<string> {
  // Teleport takes https for granted where no scheme was typed.
  const typed = /^[a-z][a-z\d+.-]*:\/\//i.test(callback) ? callback : `https://${callback}`;
  if (!URL.canParse(typed) || !/^https?:$/.test(new URL(typed).protocol)) {
    throw new TeleportError('BadParameter', `invalid callback address: ${JSON.stringify(callback)}`, {
      hint: 'Write --callback=https://host[:port].',
    });
  }
  const isWarned = yesOrNo(env.vars.TELEPORT_LOGIN_SKIP_REMOTE_HOST_WARNING ?? '');
  const question = `Logging in from a remote host means that credentials will be stored on the remote host. Make sure that you trust the provided callback host (${callback}) and that it resolves to the provided bind addr (${bindAddr}). Continue?`;
  if (!isWarned && !(await confirm(env, question))) throw new TeleportError('BadParameter', 'Login canceled.');
  return typed.replace(/\/+$/, '');
}

function targetOf(start: SsoLoginStart): SsoTarget {
  const { redirect_url: redirectUrl, post_form: form } = start;
  if (typeof form === 'string' && form !== '') return { formHtml: Buffer.from(form, 'base64').toString('utf8') };
  if (typeof redirectUrl === 'string' && URL.canParse(redirectUrl)) {
    const url = new URL(redirectUrl);
    // Written anew, so that nothing in it can end a header.
    if (/^https?:$/.test(url.protocol)) return { redirectUrl: url.href };
  }
  throw new TeleportError('Protocol', 'the proxy did not say where to log in');
}

function untilCallback(env: Env, answer: Promise<LoginAnswer>, timeoutMs: number): Promise<LoginAnswer> {
  const late = () =>
    new TeleportError('ConnectionProblem', 'timed out waiting for callback', {
      hint: 'Repeat the login and finish it in the browser within three minutes.',
    });
  return inTime(answer, timeoutMs, late, env.signal);
}
