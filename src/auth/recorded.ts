/**
 * The one way in which Auth changes what an administrator, or a person with a link, wants changed: the record first, and
 * when that is durable, the change. What cannot be recorded is not done. A change that fails after its record has a second
 * one that says so; a crash in between leaves a record of what was not done, and never the other way round.
 */
import { type AuditEventName, auditEvent } from '../audit/events.js';
import { isTeleportError, messageOf } from '../errors.js';
import type { AuthState } from './state.js';

/** An event, with its fields. */
export type Said = readonly [name: AuditEventName, fields: Record<string, unknown>];

/** @throws what the log says when it takes no record, and what `change` throws */
export async function recorded<T>(
  state: AuthState,
  said: Said | readonly Said[],
  change: () => Promise<T>,
): Promise<T> {
  const all = isOne(said) ? [said] : said;
  const events = all.map(([name, fields]) => auditEvent(name, 'ok', fields, state));
  await state.audit.append(events);
  try {
    return await change();
  } catch (error) {
    const failures = events.map(({ event, uid, user, name }) => failed(state, error, { event, uid, user, name }));
    await state.audit.append(failures).catch((second: unknown) => {
      state.log.error('That a change has failed cannot be recorded.', { error: second });
    });
    throw error;
  }
}

const isOne = (said: Said | readonly Said[]): said is Said => typeof said[0] === 'string';

function failed(state: AuthState, error: unknown, { event, uid, user, name }: Record<string, unknown>): object {
  const text = isTeleportError(error) ? error.message : messageOf(error);
  const fields = { success: false, error: text, event_of: event, uid_of: uid, user, name };
  return auditEvent('audit.change.failed', 'failed', fields, state);
}
