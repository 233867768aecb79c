/** No password in a file that a command writes from its flags. */
import { TeleportError } from '../errors.js';
import { redactValue } from '../redact.js';

/**
 * @param flags  by name, without dashes; a flag whose value is meant to be secret is not given
 * @throws BadParameter that names the flag
 */
export function refuseSecrets(flags: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(flags)) {
    if (!value || redactValue(value) === value) continue;
    throw new TeleportError('BadParameter', `--${name}: a password stands in it: ${redactValue(value)}`, {
      hint: 'Write an address as HOST:PORT. Teleport needs no password of a database.',
    });
  }
}
