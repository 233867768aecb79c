/** What must be in a message, and resources that somebody wants to have written. */
import type { HandlerContext } from '@connectrpc/connect';
import { fromMessage, type MessageOfKind } from '../../api/convert.js';
import { unreadFields } from '../../api/fields.js';
import { putNote } from '../../api/note.js';
import { TeleportError } from '../../errors.js';
import { keptKeys } from '../../resources/kept-keys.js';
import type { Kind, ResourceOfKind } from '../../resources/types.js';

/** @throws BadParameter `missing parameter x` */
export function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TeleportError('BadParameter', `missing parameter ${name}`);
  return value;
}

/**
 * A resource that somebody wants to have written. The answer says which of its keys are kept without an effect.
 *
 * @throws BadParameter for a field that this version does not know: it would be lost, and may have been a restriction
 */
export function written<K extends Kind>(
  kind: K,
  message: MessageOfKind[K] | undefined,
  context: HandlerContext,
): ResourceOfKind[K] {
  const given = must(message, `${kind[0]!.toUpperCase()}${kind.slice(1)}`);
  const unread = unreadFields(kind, given);
  const resource = fromMessage(kind, given);
  const { name } = resource.metadata;
  if (unread.length > 0) {
    throw new TeleportError(
      'BadParameter',
      `${kind} "${name}": this cluster does not know ${unread.join('; ')}, and would lose it. Leave it out.`,
    );
  }
  const kept = keptKeys(resource);
  if (kept.length > 0) {
    const what = kept.length === 1 ? 'is kept but has' : 'are kept but have';
    putNote(context.responseHeader, `${kind} "${name}": ${kept.join(', ')} ${what} no effect on this cluster`);
  }
  return resource;
}
