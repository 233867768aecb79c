/** Access requests as text: the block of one, the table of many. Pure but for the clock. Source: cli.md 3.9, Teleport 18.3.0. */
import type { Env } from '../../cli/env.js';
import { durationText, headlessTableText, tableText } from '../../cli/output.js';
import { type AccessRequest, resourceIdsText, stateOf } from '../../resources/access-request.js';

const LOGIN_HINT = "use 'tsh login --request-id=<request-id>' to login with an approved request";
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Longest text of the columns for roles and resources. */
const MOST_CHARACTERS = 20;

/** What `tsh request show` prints, and what is shown before one waits. */
export function requestText(request: AccessRequest): string {
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
  const reviews = (title: string, state: number) => {
    const found = (spec.reviews ?? []).filter(({ proposed_state }) => proposed_state === state);
    const blocks = found.map(({ author, reason }) =>
      headlessTableText([
        ['  Reviewer:', author],
        ['  Reason:', quoted(reason)],
      ]),
    );
    return found.length === 0 ? '' : `${title}:\n${blocks.join('')}`;
  };
  return `${headlessTableText(rows)}${reviews('Approvals', 2)}${reviews('Denials', 3)}\nhint: ${LOGIN_HINT}\n`;
}

/** `tsh request ls`: the newest first, without those whose access has ended. */
export function requestTable(env: Env, requests: readonly AccessRequest[]): string {
  const now = env.now().getTime();
  const left = (time: string | undefined) => {
    const ms = time ? Date.parse(time) - now : 0;
    return durationText(Math.round(ms / 60_000) * 60_000);
  };
  let isCut = false;
  const cut = (text: string) => {
    if ([...text].length <= MOST_CHARACTERS) return text;
    isCut = true;
    return `${[...text].slice(0, MOST_CHARACTERS).join('')}... [+]`;
  };
  const rows = requests
    .filter(({ spec }) => spec.expires === undefined || Date.parse(spec.expires) >= now)
    .sort((a, b) => Date.parse(b.spec.created ?? '') - Date.parse(a.spec.created ?? ''))
    .map((request) => [
      request.metadata.name,
      request.spec.user,
      cut(request.spec.roles.join(',')),
      cut(resourceIdsText(request.spec.resource_ids)),
      shortTime(request.spec.created),
      left(request.spec.expiry),
      left(request.spec.expires),
      shortTime(request.spec.assume_start_time),
      stateOf(request),
    ]);
  const titles = 'ID|User|Roles|Resources|Created At (UTC)|Request TTL|Session TTL|Assume Time (UTC)|Status'.split('|');
  const footnote = isCut
    ? "\n[+] Columns are truncated, use 'tsh request show <request-id>' to view the full list\n"
    : '';
  const hint = "hint: use 'tsh request show <request-id>' for additional details";
  return `${tableText(titles, rows)}${footnote}\n${hint}\n      ${LOGIN_HINT}\n`;
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
