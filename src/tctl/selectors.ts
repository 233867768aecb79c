/** `key=value,…` on a command line. */
import { TeleportError } from '../errors.js';

/** @throws BadParameter for a part that is not `key=value` */
export function parseLabels(text: string | undefined): Record<string, string> | undefined {
  if (!text) return undefined;
  return Object.fromEntries(
    text.split(',').map((part) => {
      const at = part.indexOf('=');
      if (at <= 0) throw new TeleportError('BadParameter', `invalid label spec: '${text}', should be 'key=value'`);
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
    }),
  );
}
