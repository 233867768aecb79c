/**
 * Who may read the audit log: all of it with a rule on `event`, and everybody what was run in her own name. Bounds of one
 * call are those of a page (`audit/search.ts`).
 */
import { type AuditPage, type AuditSearch, searchAuditLog } from '../audit/search.js';
import { TeleportError } from '../errors.js';
import { checkWord, checkWords } from './asked-words.js';
import { requireRule } from './rules.js';
import type { AuthState } from './state.js';
import { madeAt, nameOf, type Who } from './who.js';

const MOST_FOUND = 1000;
/** Each is looked at for each record. */
const MOST_KINDS = 50;
/** How far back somebody may look for her own statements: each look costs Auth the reading of that many days. */
const OWN_DAYS = 31;
const DAY_MS = 86_400_000;
/** Of her own sessions. */
const OWN_KINDS = /^db\.session\.[\w.]*$/;

export async function searchEvents(
  state: AuthState,
  who: Who,
  { own, ...asked }: AuditSearch & { own: boolean },
): Promise<AuditPage> {
  const { user: whose = '', database = '', kinds: wanted = [], start = '' } = asked;
  for (const [field, word] of Object.entries({ user: whose, database, start })) checkWord(field, word);
  checkWords('kinds', wanted, MOST_KINDS);
  const find = (search: AuditSearch) =>
    state.searchTurns.take(nameOf(who), () => searchAuditLog(state.audit.dir, search));
  const limit = Math.min(asked.limit > 0 ? asked.limit : MOST_FOUND, MOST_FOUND);
  if (!own) {
    requireRule(who, 'event', 'list', 'read');
    return await find({ ...asked, limit });
  }
  if (who.kind !== 'user') throw new TeleportError('AccessDenied', 'access denied: only users have statements');
  const kinds = asked.kinds?.length ? asked.kinds : ['db.session.'];
  if (!kinds.every((kind) => OWN_KINDS.test(kind))) {
    throw new TeleportError(
      'AccessDenied',
      'access denied: of your own events you can read those of database sessions',
    );
  }
  const { remote, teleportCluster: userCluster } = who.identity;
  if (remote && !who.user.spec.created_by) {
    throw new TeleportError(
      'ConnectionProblem',
      `the cluster ${JSON.stringify(remote.cluster)} does not say now since when you have your name: your statements are not shown, as another may have had it before`,
    );
  }
  // What ran under the name before she had it is somebody else's.
  const since = madeAt(who.user);
  const from = new Date(Math.max(asked.from.getTime(), since.getTime(), state.now().getTime() - OWN_DAYS * DAY_MS));
  const user = who.user.metadata.name;
  return await find({ ...asked, from, happenedSince: since, kinds, user, userCluster, limit });
}
