/**
 * The end of a single sign-on login that is on this machine: a small web server, by default on a free loopback port.
 *
 *     GET /<uuid>                    the short link a person opens: on to the identity provider (or its form)
 *     GET|POST /callback?response=…  the Proxy sends the browser here with the sealed answer; ?err=… with what went wrong
 *
 * The first callback that proves to come from the Proxy counts: its answer is sealed with our key, or its `err` comes with
 * it. Any page open in the browser can call here, so that nothing else ends the login. The browser is sent to a page of the
 * Proxy that says how it ended. Spec: login-and-profile.md 3.1.
 */
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isTeleportError, messageOf, TeleportError } from '../../errors.js';
import { parseHostPort } from '../../host-port.js';
import { listen } from '../../net/listen.js';
import { wholeBody } from '../../net/whole-body.js';
import { type LoginAnswer, loginAnswer } from '../../webapi/login-answer.js';
import { openSealed, SEAL_KEY_BYTES } from './sealed-answer.js';

export interface SsoCallbackOptions {
  /** `host:port`; default: loopback, any free port. */
  bindAddr?: string | undefined;
  /** URL under which the browser reaches this listener, when it is another one than the address bound. */
  baseUrl?: string | undefined;
  /** `host:port` of the Proxy whose pages end the login in the browser. */
  webProxyAddr: string;
  /** Called for a callback that is not the Proxy's, once. */
  onStranger?: () => void;
}

/** Where the Proxy sends the person first: a redirect, or a form (HTML) that submits itself. */
export type SsoTarget = { redirectUrl: string } | { formHtml: string };

export interface SsoCallback extends AsyncDisposable {
  /** What the Proxy receives; holds the key of the answer, so it is neither shown nor logged. */
  readonly callbackUrl: string;
  /** The Proxy's answer. Rejects with what the identity provider or the Proxy said. */
  readonly answer: Promise<LoginAnswer>;
  /** A short link for the person. */
  linkTo(target: SsoTarget): string;
}

/** Longest address line and form: a sealed answer has some 10 KiB, with many roles a few times that. Our own limit. */
const MOST_BYTES = 1024 * 1024;
/** A browser opens a handful, and needs each for a moment. Our own limit. */
const MOST_CONNECTIONS = 64;
const IDLE_TIMEOUT_MS = 30_000;
/** How long the last page may take to leave. */
const DRAIN_MS = 500;
/** A form of the identity provider that submits itself: it needs its script and its target, and nothing else. */
const FORM_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/** @throws TeleportError when the address cannot be bound */
export async function openSsoCallback(options: SsoCallbackOptions): Promise<SsoCallback> {
  const key = randomBytes(SEAL_KEY_BYTES);
  const links = new Map<string, SsoTarget>();
  let isOver = false;
  let { onStranger } = options;
  let settle!: (outcome: LoginAnswer | TeleportError) => void;
  const answer = new Promise<LoginAnswer>((resolve, reject) => {
    settle = (outcome) => (outcome instanceof TeleportError ? reject(outcome) : resolve(outcome));
  });
  answer.catch(() => {});

  const onCallback = async (request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('Allow', 'GET, OPTIONS, POST');
    // Only this answer is shared, and it is a redirect to a public page.
    response.setHeader('Access-Control-Allow-Origin', '*');
    if (request.method === 'OPTIONS') return void response.end();
    if (request.method !== 'GET' && request.method !== 'POST') return void response.writeHead(405).end();
    const values = await valuesOf(request);
    if (values === undefined) return void response.writeHead(413).end();
    const outcome = isOver ? undefined : outcomeOf(values, key);
    if (outcome !== undefined) {
      isOver = true;
      // The browser has its page first: the listener closes as soon as the login goes on.
      response.once('close', () => settle(outcome));
    } else if (!isOver) {
      onStranger?.();
      onStranger = undefined;
    }
    const isGood = outcome !== undefined && !(outcome instanceof TeleportError);
    const page = isGood ? '/web/msg/info/login_success' : '/web/msg/error/login';
    response.writeHead(302, { Location: `https://${options.webProxyAddr}${page}` }).end();
  };

  const http = createServer({ maxHeaderSize: MOST_BYTES, keepAlive: false }, (request, response) => {
    response.setHeader('Connection', 'close');
    response.setHeader('Cache-Control', 'no-store');
    const path = request.url!.split('?')[0]!;
    const target = links.get(path);
    if (path === '/callback') void onCallback(request, response).catch(() => response.destroy());
    else if (target !== undefined && request.method === 'GET') leadOn(response, target);
    else response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
  });
  http.setTimeout(IDLE_TIMEOUT_MS);

  const listener = await bind(options.bindAddr, (socket) => http.emit('connection', socket));
  const base = options.baseUrl ?? `http://${listener.address}`;
  return {
    callbackUrl: `${base}/callback?secret_key=${key.toString('hex')}`,
    answer,
    linkTo(target) {
      const path = `/${randomUUID()}`;
      links.set(path, target);
      return clickable(base) + path;
    },
    [Symbol.asyncDispose]: () => listener.close({ drainMs: DRAIN_MS }),
  };
}

/** What a callback of the Proxy says; undefined for one that is somebody else's. */
function outcomeOf(values: URLSearchParams, key: Buffer): LoginAnswer | TeleportError | undefined {
  const refusal = values.get('err');
  if (refusal !== null) {
    const proof = Buffer.from(values.get('secret_key') ?? '', 'hex');
    if (proof.length !== key.length || !timingSafeEqual(proof, key)) return undefined;
    const said = refusal.slice(0, MOST_CHARACTERS);
    return new TeleportError('AccessDenied', `identity provider callback failed with error: ${said}`);
  }
  const text = opened(values, key);
  if (text === undefined) return undefined;
  try {
    return loginAnswer(JSON.parse(text));
  } catch (error) {
    if (error instanceof TeleportError) return error;
    return new TeleportError('Protocol', `failed to decrypt response: ${messageOf(error)}`);
  }
}

function opened(values: URLSearchParams, key: Buffer): string | undefined {
  try {
    return openSealed(key, values.get('response') ?? '');
  } catch {
    return undefined;
  }
}

/** Longest text of the identity provider that is repeated. */
const MOST_CHARACTERS = 2000;

/** Values of the form and of the address, those of the form first; undefined when there are too many bytes. */
async function valuesOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const query = request.url!.split('?').slice(1).join('?');
  if (request.method !== 'POST') return new URLSearchParams(query);
  const form = await wholeBody(request, MOST_BYTES, 'the form').catch((error: unknown) => {
    if (isTeleportError(error, 'Protocol')) return undefined;
    throw error;
  });
  return form === undefined ? undefined : new URLSearchParams(`${form}&${query}`);
}

function leadOn(response: ServerResponse, target: SsoTarget): void {
  if ('redirectUrl' in target) return void response.writeHead(302, { Location: target.redirectUrl }).end();
  response
    .writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': FORM_POLICY })
    .end(`<!doctype html><html><head><title>Single sign-on</title></head><body>${target.formHtml}</body></html>`);
}

async function bind(typed: string | undefined, onConnection: (socket: Socket) => void) {
  const at = { onConnection, mostConnections: MOST_CONNECTIONS };
  if (!typed) return await listen(at);
  const why = `could not bind to ${typed}, make sure the address is host:port format for ipv4 and [ipv6]:port format for ipv6, and the address is not in use`;
  // `:port` is every address, as in Go.
  const found = parseHostPort(typed, typed.startsWith(':') ? { host: '::' } : {});
  if (!found) throw new TeleportError('BadParameter', why);
  try {
    return await listen({ ...at, ...found });
  } catch (cause) {
    throw new TeleportError('BadParameter', why, { cause });
  }
}

/** An address that stands for all of this machine's, as one that a browser can open. */
function clickable(base: string): string {
  return base.replace(/^(https?:\/\/)(?:0\.0\.0\.0|\[::\])(?=:|$)/, '$1127.0.0.1');
}
