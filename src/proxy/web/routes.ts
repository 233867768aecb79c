/** The table of the web API: method, path, rate limit, handler. Paths and limits: login-and-profile.md 1.1. */
import type { AuthClient } from '../../api/client.js';
import { TeleportError } from '../../errors.js';
import { json, plainText, redirect, type WebAnswer } from './answer.js';
import { installScript, packageFile } from './install.js';
import { hostCredentials } from './join.js';
import type { LimitClass } from './limits.js';
import { loginBegin, loginFinish } from './login.js';
import { homePage, iconFile, scriptFile, signedInPage, signInFailedPage, styleFile } from './pages.js';
import { type ClusterSettings, findAnswer, type ProxySettings, pingAnswer, pingConnectorAnswer } from './ping.js';
import type { WebRequest } from './request.js';
import { changePassword, passwordToken, registerChallenge, showLink, useLink } from './signup.js';
import { validateTrust } from './trust.js';

export interface WebContext {
  settings: ProxySettings;
  gateway: Pick<
    AuthClient['proxyGateway'],
    'loginBegin' | 'loginFinish' | 'getUserToken' | 'changeUserPassword' | 'validateTrustedCluster'
  >;
  join: Pick<AuthClient['join'], 'registerUsingToken'>;
  cluster: () => Promise<ClusterSettings>;
}

export interface WebRoute {
  method: 'GET' | 'POST' | 'PUT';
  /** `{name}` stands for one part, `{name...}` for the rest. */
  path: string;
  /** Beside the one for requests of all kinds. */
  limit?: Exclude<LimitClass, 'any'>;
  /** For people: what goes wrong is a page too. */
  isPage?: true;
  handle: (request: WebRequest, context: WebContext) => WebAnswer | Promise<WebAnswer>;
}

const nameOf = ({ settings }: WebContext) => settings.clusterName;

export const ROUTES: readonly WebRoute[] = [
  {
    method: 'GET',
    path: '/webapi/ping',
    handle: async (_, c) => json(pingAnswer(c.settings, await c.cluster())),
  },
  {
    method: 'GET',
    path: '/webapi/ping/{connector}',
    limit: 'high',
    handle: async ({ params }, c) => json(pingConnectorAnswer(c.settings, await c.cluster(), params.connector!)),
  },
  {
    method: 'GET',
    path: '/webapi/find',
    handle: async (_, c) => json(findAnswer(c.settings, await c.cluster())),
  },
  {
    method: 'GET',
    path: '/webapi/motd',
    limit: 'high',
    handle: async (_, c) => json({ Text: (await c.cluster()).preference.messageOfTheDay }),
  },
  {
    method: 'GET',
    path: '/webapi/automaticupgrades/channel/{channel...}',
    limit: 'high',
    handle: ({ params }, c) => upgradeChannel(params.channel!, c.settings.version),
  },
  {
    method: 'GET',
    path: '/scripts/install.sh',
    limit: 'normal',
    handle: ({ host }, c) => installScript(host, c.settings),
  },
  {
    method: 'GET',
    path: '/scripts/{package}',
    limit: 'normal',
    handle: ({ params, address }) => packageFile(params.package!, address),
  },
  { method: 'GET', path: '/web/config.js', limit: 'normal', handle: (_, c) => configScript(c.settings) },
  {
    method: 'POST',
    path: '/webapi/mfa/login/begin',
    limit: 'normal',
    handle: (request, c) => loginBegin(c.gateway, request),
  },
  {
    method: 'POST',
    path: '/webapi/mfa/login/finish',
    limit: 'normal',
    handle: (request, c) => loginFinish(c.gateway, request),
  },
  {
    method: 'POST',
    path: '/webapi/host/credentials',
    limit: 'normal',
    handle: (request, c) => hostCredentials(c.join, request),
  },
  {
    method: 'POST',
    path: '/webapi/trustedclusters/validate',
    limit: 'normal',
    handle: (request, c) => validateTrust(c.gateway, request),
  },
  {
    method: 'GET',
    path: '/webapi/users/password/token/{token}',
    limit: 'normal',
    handle: (request, c) => passwordToken(c.gateway, request),
  },
  {
    method: 'PUT',
    path: '/webapi/users/password/token',
    limit: 'normal',
    handle: (request, c) => changePassword(c.gateway, request),
  },
  {
    method: 'POST',
    path: '/webapi/mfa/token/{token}/registerchallenge',
    limit: 'normal',
    handle: (request, c) => registerChallenge(c.gateway, request),
  },
  { method: 'GET', path: '/webapi/connectionupgrade', limit: 'high', handle: notAnUpgrade },
  { method: 'GET', path: '/', handle: () => redirect('/web') },
  ...['/web', '/web/login'].map((path): WebRoute => {
    return { method: 'GET', path, limit: 'high', isPage: true, handle: ({ host }, c) => homePage(host, nameOf(c)) };
  }),
  ...['/web/invite/{token}', '/web/reset/{token}'].flatMap((path): WebRoute[] => [
    { method: 'GET', path, limit: 'high', isPage: true, handle: (r, c) => showLink(c.gateway, r, nameOf(c)) },
    { method: 'POST', path, limit: 'normal', isPage: true, handle: (r, c) => useLink(c.gateway, r, nameOf(c)) },
  ]),
  {
    method: 'GET',
    path: '/web/msg/info/login_success',
    limit: 'high',
    isPage: true,
    handle: (_, c) => signedInPage(nameOf(c)),
  },
  {
    method: 'GET',
    path: '/web/msg/error/login',
    limit: 'high',
    isPage: true,
    handle: (_, c) => signInFailedPage(nameOf(c)),
  },
  { method: 'GET', path: '/web/pages.css', limit: 'high', handle: styleFile },
  { method: 'GET', path: '/web/pages.js', limit: 'high', handle: scriptFile },
  { method: 'GET', path: '/web/icon.svg', limit: 'high', handle: iconFile },
];

/** Second parts of a path that may stand behind `/v1`. */
const VERSIONED = new Set(['webapi', 'enterprise', 'scripts', '.well-known', 'workload-identity', 'web']);

interface FoundRoute {
  route: WebRoute;
  params: Record<string, string>;
}

const PATTERNS = ROUTES.map((route) => ({ route, wanted: route.path.split('/') }));

/** The route of a request; `/v1` is cut off when nothing else matches. */
export function findRoute(method: string, path: string): FoundRoute | undefined {
  const parts = path.split('/');
  const found = matchAny(method, parts);
  if (found) return found;
  const [, first, second = ''] = parts;
  return first === 'v1' && VERSIONED.has(second) ? matchAny(method, ['', ...parts.slice(2)]) : undefined;
}

function matchAny(method: string, parts: readonly string[]): FoundRoute | undefined {
  for (const { route, wanted } of PATTERNS) {
    if (route.method !== method) continue;
    const params = matchParts(wanted, parts);
    if (params) return { route, params };
  }
  return undefined;
}

function matchParts(wanted: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const name = /^\{(\w+)(\.\.\.)?\}$/.exec(part);
    const given = parts[at];
    if (given === undefined) return undefined;
    if (name?.[2]) {
      params[name[1]!] = parts.slice(at).join('/');
      return params;
    }
    if (name) {
      if (given === '') return undefined;
      params[name[1]!] = given;
    } else if (part !== given) return undefined;
  }
  return wanted.length === parts.length ? params : undefined;
}

/** The last part is the question, what stands before it the channel; every channel has our own version. */
function upgradeChannel(channelAndQuestion: string, version: string): WebAnswer {
  const parts = channelAndQuestion.split('/').filter((part) => part !== '');
  const question = parts.at(-1);
  if (parts.length < 2)
    throw new TeleportError(
      'BadParameter',
      'path format should be /webapi/automaticupgrades/channel/<channel>/<request>',
    );
  if (question === 'version') return plainText(`v${version}`);
  if (question === 'critical') return plainText('no');
  throw new TeleportError('BadParameter', 'requestType path must end with "version" or "critical"');
}

function configScript({ version, clusterName, publicAddr }: ProxySettings): WebAnswer {
  const config = { isCloud: false, proxyCluster: clusterName, edition: 'oss', version, publicAddr: publicAddr ?? '' };
  const literal = JSON.stringify(config).replaceAll('<', '\\u003c');
  return {
    status: 200,
    headers: { 'content-type': 'application/javascript', 'cache-control': 'no-cache, no-store, must-revalidate' },
    body: `var GRV_CONFIG = ${literal};`,
  };
}

function notAnUpgrade(): never {
  throw new TeleportError('NotFound', 'unsupported upgrade types: []');
}
