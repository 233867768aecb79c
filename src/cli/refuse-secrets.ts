/** No password in what a command writes or prints from its flags. */
import { TeleportError } from '../errors.js';
import { redactValue } from '../redact.js';

/**
 * @param flags  by name, in camelCase; a flag whose value is meant to be secret is not given
 * @throws BadParameter that names the flag
 */
export function refuseSecrets(flags: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(flags)) {
    for (const text of [value].flat()) {
      if (typeof text !== 'string' || redactValue(text) === text) continue;
      const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      throw new TeleportError('BadParameter', `--${name}: a password stands in it: ${redactValue(text)}`, {
        hint: 'Write an address as HOST:PORT. Teleport needs no password of a database.',
      });
    }
  }
}
