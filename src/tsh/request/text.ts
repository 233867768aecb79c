/** Access requests as text: the block of one, the table of many. Pure but for the clock. Source: cli.md 3.9, Teleport 18.3.0. */
import type { Env } from '../../cli/env.js';
import { formatDurationMs, tableFor } from '../../cli/output.js';
import { type AccessRequest, resourceIdsText, stateOf } from '../../resources/access-request.js';

const LOGIN_HINT = "use 'tsh login --request-id=<request-id>' to login with an approved request";
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** What `tsh request show` prints, and what is shown before one waits. */
export async function requestText(env: Env, request: AccessRequest): Promise<string> {
  const { metadata, spec } = request;
  const resources = resourceIdsText(spec.resource_ids);
  const rows = [
    ['Request ID:', metadata.name],
    ['Username:', spec.user],
    ['Roles:', spec.roles.join(', ')],
    ...(resources ? [['Resources:', resources]] : []),
    ['Reason:', quoted(spec.request_reason)],
    ['Reviewers:', `${spec.suggested_reviewers?.join(', ') || '[none]'} (suggested)`],
    ...(spec.expires ? [['Access Expires:', localTime(spec.expires)]] : []),
    ...(spec.assume_start_time ? [['Assume Start Time:', localTime(spec.assume_start_time)]] : []),
    ['Status:', stateOf(request)],
  ];
  const block = async (rows: string[][]) => (await tableFor(env, { rows })).text;
  const reviews = async (title: string, state: number) => {
    const found = (spec.reviews ?? []).filter(({ proposed_state }) => proposed_state === state);
    const blocks = await Promise.all(
      found.map(({ author, reason }) =>
        block([
          ['  Reviewer:', author],
          ['  Reason:', quoted(reason)],
        ]),
      ),
    );
    return found.length === 0 ? '' : `${title}:\n${blocks.join('')}`;
  };
  return `${await block(rows)}${await reviews('Approvals', 2)}${await reviews('Denials', 3)}\nhint: ${LOGIN_HINT}\n`;
}

/** `tsh request ls`: the newest first, without those whose access has ended. */
export async function requestTable(env: Env, requests: readonly AccessRequest[]): Promise<string> {
  const now = env.now().getTime();
  const left = (time: string | undefined) => {
    const ms = time ? Date.parse(time) - now : 0;
    return formatDurationMs(Math.round(ms / 60_000) * 60_000);
  };
  const rows = requests
    .filter(({ spec }) => spec.expires === undefined || Date.parse(spec.expires) >= now)
    .sort((a, b) => Date.parse(b.spec.created ?? '') - Date.parse(a.spec.created ?? ''))
    .map((request) => [
      request.metadata.name,
      request.spec.user,
      request.spec.roles.join(','),
      resourceIdsText(request.spec.resource_ids),
      shortTime(request.spec.created),
      left(request.spec.expiry),
      left(request.spec.expires),
      shortTime(request.spec.assume_start_time),
      stateOf(request),
    ]);
  const titles = 'ID|User|Roles|Resources|Created At (UTC)|Request TTL|Session TTL|Assume Time (UTC)|Status'.split('|');
  const cut = ['Resources', 'Assume Time (UTC)', 'Session TTL', 'Request TTL', 'Roles'];
  const { text, isCut } = await tableFor(env, { titles, rows, cut, copied: ['ID'], cutMark: '... [+]' });
  const footnote = isCut
    ? "\n[+] Columns are truncated, use 'tsh request show <request-id>' to view the full list\n"
    : '';
  const hint = "hint: use 'tsh request show <request-id>' for additional details";
  return `${text}${footnote}\n${hint}\n      ${LOGIN_HINT}\n`;
}

function quoted(text: string | undefined): string {
  return text ? JSON.stringify(text) : '[none]';
}

/** `2026-11-21 18:53:25` in the zone of the person. */
function localTime(rfc3339: string): string {
  const at = new Date(rfc3339);
  const two = (value: number) => String(value).padStart(2, '0');
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`;
}

/** `21 Nov 26 06:53 UTC` (RFC 822). */
function shortTime(rfc3339: string | undefined): string {
  if (!rfc3339) return '';
  const [date, time] = new Date(rfc3339).toISOString().split('T') as [string, string];
  const [year, month, day] = date.split('-') as [string, string, string];
  return `${day} ${MONTHS[Number(month) - 1]} ${year.slice(2)} ${time.slice(0, 5)} UTC`;
}
