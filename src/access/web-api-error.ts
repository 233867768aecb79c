/** Error answers of the web API as our errors. Spec: login-and-profile reference, 1.7. Pure. */
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
 * further in; a body that is not JSON is the text itself.
 */
export function webApiError(status: number, body: string): TeleportError {
  const code = CODES[status] ?? 'Protocol';
  return new TeleportError(code, (messageIn(body) ?? body.trim()).slice(0, MOST_CHARACTERS) || `HTTP status ${status}`);
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
