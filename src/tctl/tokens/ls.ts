/** `tctl tokens ls`: join tokens and invitations; names are masked unless asked for. Source: cli.md 6.2. */
import type { Env } from '../../cli/env.js';
import { formatDurationMs, labelsText, printLine, printTable, printTctlJson, printTctlYaml } from '../../cli/output.js';
import { parseLabelSpec } from '../../resources/labels.js';
import { printable } from '../../resources/printable.js';
import type { ProvisionToken } from '../../resources/types.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { listTokens, listUserTokens } from '../lists.js';

export interface TokensLsArgs extends AdminArgs {
  format?: 'text' | 'json' | 'yaml' | undefined;
  withSecrets: boolean;
  labels?: string | undefined;
}

export async function run(env: Env, args: TokensLsArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const wanted = Object.entries(parseLabelSpec(args.labels ?? ''));
  const [join, invites] = await Promise.all([listTokens(client), listUserTokens(client)]);
  const users: ProvisionToken[] = invites.map(({ metadata }) => ({
    kind: 'token',
    version: 'v2',
    metadata,
    spec: { roles: ['Signup'], join_method: 'token' },
  }));
  const tokens = [...join, ...users]
    .filter(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value))
    .sort((a, b) => (a.metadata.expires ?? '').localeCompare(b.metadata.expires ?? ''));
  if (args.format === 'json') return printTctlJson(env, tokens.map(printable));
  if (args.format === 'yaml') return await printTctlYaml(env, tokens.map(printable));
  const nameOf = ({ metadata: { name }, spec }: ProvisionToken) =>
    args.withSecrets || spec.join_method !== 'token' ? name : masked(name);
  if (args.format === 'text') {
    if (tokens.length === 0) printLine(env, 'No active tokens found.');
    for (const token of tokens) printLine(env, nameOf(token));
    return;
  }
  const rows = tokens.map((token) => [
    nameOf(token),
    token.spec.roles.join(','),
    labelsText(token.metadata.labels, { verbose: true }),
    expiryText(token.metadata.expires, env.now()),
  ]);
  const titles = ['Token', 'Type', 'Labels', 'Expiry Time (UTC)'];
  await printTable(env, { titles, rows, cut: ['Labels'], copied: ['Token'] });
}

/** The first three quarters replaced, a short name altogether. */
export function masked(name: string): string {
  const hidden = name.length < 16 ? name.length : Math.floor(name.length * 0.75);
  return '*'.repeat(hidden) + name.slice(hidden);
}

/** `21 Nov 30 02:17 UTC (29m4s)`, or `never`. @param expires  RFC 3339 */
export function expiryText(expires: string | undefined, now: Date): string {
  if (!expires) return 'never';
  const at = new Date(expires);
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) \d\d(\d\d) (\d\d:\d\d)/.exec(at.toUTCString())!;
  return `${day} ${month} ${year} ${time} UTC (${formatDurationMs(Math.round((at.getTime() - now.getTime()) / 1000) * 1000)})`;
}
