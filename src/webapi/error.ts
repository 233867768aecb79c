/** Error answers of the web API as our errors. Spec: login-and-profile.md 1.7. Pure. */
import { STATUS_CODES } from 'node:http';
import { type ErrorCode, TeleportError } from '../errors.js';

const CODES: Record<number, ErrorCode> = {
  400: 'BadParameter',
  403: 'AccessDenied',
  404: 'NotFound',
  409: 'AlreadyExists',
  412: 'CompareFailed',
  429: 'LimitExceeded',
  501: 'NotImplemented',
  502: 'ConnectionProblem',
  503: 'ConnectionProblem',
  504: 'ConnectionProblem',
};

/** Longest text of an answer that is repeated to a person: a page of a load balancer need not be. */
const MOST_CHARACTERS = 2000;

/**
 * What a status and a body mean. Texts that were added by wrapping come first, newest first, each deeper one a tab
 * further in; a body that is not JSON is the text itself, unless it is a page.
 *
 * @param url  without scheme, told where the answer has no text
 */
export function webApiError(status: number, body: string, url?: string): TeleportError {
  const code = CODES[status] ?? 'Protocol';
  const text = messageIn(body) ?? (isPage(body) ? '' : body.trim());
  return new TeleportError(code, text.slice(0, MOST_CHARACTERS) || statusText(status, url));
}

/** `https://host:port/path: HTTP status 502 Bad Gateway`. */
function statusText(status: number, url?: string): string {
  const text = `HTTP status ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  return url ? `https://${url}: ${text}` : text;
}

/** HTML of something in front of the Proxy; nobody reads that in a terminal. */
function isPage(body: string): boolean {
  return body.trimStart().startsWith('<');
}

function messageIn(body: string): string | undefined {
  try {
    const { error, messages = [] } = JSON.parse(body) as { error?: { message?: unknown }; messages?: unknown[] };
    if (typeof error?.message !== 'string') return undefined;
    const texts = [...messages.filter((one) => typeof one === 'string').reverse(), error.message];
    return texts.map((line, depth) => '\t'.repeat(depth) + line).join('\n');
  } catch {
    return undefined;
  }
}
