/** The link that a new or reset user gets, as text and JSON. Source: cli.md 6.1. */

import { fromMessage } from '../../api/convert.js';
import type { UserTokenV3 } from '../../api/gen/types_pb.js';
import type { Env } from '../../cli/env.js';
import { formatDurationMs, printJson, printLine, shortDurationText } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';

export function printLink(
  env: Env,
  message: UserTokenV3,
  options: { format: string; ttlMs: number; what: 'created' | 'reset' },
): void {
  const token = fromMessage('user_token', message);
  if (options.format === 'json') {
    const { kind, sub_kind, version, metadata, spec } = token;
    const { name, expires } = metadata;
    printJson(env, { kind, sub_kind, version, metadata: { name, expires }, spec }, { newline: false });
    return;
  }
  const { user, url } = token.spec;
  const valid = shortDurationText(options.ttlMs);
  printLine(
    env,
    options.what === 'created'
      ? `User "${user}" has been created but requires a password. Share this URL with the user to complete user setup, link is valid for ${valid}:`
      : `User "${user}" has been reset. Share this URL with the user to complete password reset, link is valid for ${valid}:`,
  );
  printLine(env, url);
  printLine(env);
  const host = /^https?:\/\/([^/]+)/.exec(url)?.[1] ?? url;
  printLine(env, `NOTE: Make sure ${host} points at a Teleport proxy which users can access.`);
}

/** @throws BadParameter when a link would be valid for nothing or too long */
export function checkTtl(ttlMs: number, maxMs: number): void {
  if (ttlMs > 0 && ttlMs <= maxMs) return;
  throw new TeleportError(
    'BadParameter',
    `--ttl: ${formatDurationMs(ttlMs)} is not possible, expected more than 0s and at most ${formatDurationMs(maxMs)}`,
  );
}
