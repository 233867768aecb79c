/**
 * The way out through an HTTP proxy: which one (HTTPS_PROXY, NO_PROXY as Go reads them), and CONNECT on it.
 * Spec: Go's golang.org/x/net/http/httpproxy; RFC 9110 section 9.3.6.
 */
import { isIP, type Socket } from 'node:net';
import { TeleportError } from '../errors.js';
import { splitHostPort } from '../host-port.js';
import { addressList, isLoopback, isSameIp } from '../ip.js';
import { withDeadline } from '../wait.js';

type Vars = Record<string, string | undefined>;

/** Longest answer head to CONNECT. Our own limit. */
const MOST_HEAD_BYTES = 16 * 1024;

/**
 * The proxy for a target, or undefined for none. Loopback is never proxied.
 *
 * @param url  of the target; `https:` and anything else but `http:` look at HTTPS_PROXY
 * @throws TeleportError `BadParameter` when the variable is not a URL
 */
export function proxyFor(url: URL, vars: Vars): URL | undefined {
  const isPlain = url.protocol === 'http:';
  const text = isPlain ? (vars.HTTP_PROXY ?? vars.http_proxy) : (vars.HTTPS_PROXY ?? vars.https_proxy);
  if (!text) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (isPlain ? '80' : '443');
  if (isLoopback(host)) return undefined;
  const exceptions = (vars.NO_PROXY ?? vars.no_proxy ?? '').split(',').map((part) => part.trim().toLowerCase());
  if (exceptions.some((exception) => matches(exception, host, port))) return undefined;
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
    decodeURIComponent(url.username + url.password);
    return url;
  } catch {
    throw new TeleportError('BadParameter', `${isPlain ? 'HTTP_PROXY' : 'HTTPS_PROXY'} is not a URL`, {
      hint: 'Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with %25 for a % in either.',
    });
  }
}

/**
 * Ask a proxy on an open socket for a tunnel. The socket is the tunnel afterwards; bytes that came early are put back.
 *
 * @param target  `host:port`
 * @param options.proxy  `host:port` of the proxy itself
 * @param options.credentials  user and password of the proxy's URL, percent-encoded as there
 * @throws TeleportError `ConnectionProblem`
 */
export async function connectTunnel(
  socket: Socket,
  target: string,
  options: { timeoutMs: number; proxy: string; credentials?: { username: string; password: string } },
): Promise<void> {
  const { username = '', password = '' } = options.credentials ?? {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = username === '' ? '' : `Proxy-Authorization: Basic ${Buffer.from(pair).toString('base64')}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  const head = await withDeadline(
    readHead(socket),
    options.timeoutMs,
    `the HTTP proxy ${options.proxy} to open a tunnel to ${target}`,
  );
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
  if (status?.startsWith('2')) return;
  const why = status === undefined ? 'an answer that is not HTTP' : `HTTP status ${status}`;
  const hint =
    status === '407'
      ? 'Name user and password in the variable: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT.'
      : undefined;
  throw new TeleportError('ConnectionProblem', `the HTTP proxy refused a tunnel to ${target}: ${why}`, { hint });
}

function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const settle = (act: () => void) => {
      socket.off('readable', onReadable).off('close', onClose).off('end', onClose);
      act();
    };
    const onClose = () => settle(() => reject(new TeleportError('ConnectionProblem', 'the HTTP proxy hung up')));
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length > MOST_HEAD_BYTES) {
        settle(() => reject(new TeleportError('Protocol', 'the HTTP proxy sent an endless head')));
      } else if (end >= 0) {
        settle(() => {
          const rest = head.subarray(end + 4);
          if (rest.length > 0) socket.unshift(rest);
          resolve(head.subarray(0, end).toString('latin1'));
        });
      }
    };
    socket.on('readable', onReadable).on('close', onClose).on('end', onClose);
  });
}

/** An environment in which everything is reached straight. */
export function withoutProxies(vars: Vars): Vars {
  return Object.fromEntries(Object.entries(vars).filter(([name]) => !/^https?_proxy$/i.test(name)));
}

/** `*`, `example.com` (and below), `.example.com` (only below), an address, a network, each with an optional port. */
function matches(exception: string, host: string, port: string): boolean {
  if (exception === '') return false;
  if (exception === '*') return true;
  const network = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(exception);
  if (network) {
    const [, address = '', bits] = network;
    const most = isIP(address) === 6 ? 128 : 32;
    return isIP(address) !== 0 && Number(bits) <= most && addressList([exception]).has(host);
  }
  const { host: name, port: onlyPort } = splitHostPort(exception);
  if (onlyPort !== undefined && onlyPort !== port) return false;
  if (isIP(host) !== 0) return isSameIp(host, name);
  const suffix = name.replace(/^\*\./, '.');
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}
