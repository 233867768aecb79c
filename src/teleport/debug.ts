/** `teleport debug …`: named so that a person learns what to do instead. */
import { TeleportError } from '../errors.js';

export async function run(): Promise<never> {
  throw new TeleportError('NotImplemented', 'this Teleport has no debug service', {
    hint: 'Start with "teleport start --debug", or set teleport.log.severity in the configuration file.',
  });
}
