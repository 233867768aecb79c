/** The refusal to dial a cluster whose authorities are not known: the server would be blamed for it. */
import { TeleportError } from '../errors.js';

export function withoutAuthority(cluster: string): TeleportError {
  const text = `no certificate authority of cluster ${JSON.stringify(cluster)} is known`;
  return new TeleportError('ConnectionProblem', text, { hint: 'Log in again: tsh login --proxy=<address>.' });
}
