/** The lock of one automatic user on one server, for all agents: a call to Auth that lives as long as it is held. */
import type { AuthClient } from '../api/client.js';
import { TeleportError } from '../errors.js';

export interface HeldUser extends Disposable {
  /** Users of the cluster that would be this one in Redshift, itself among them; empty where nobody asked. */
  sameNames: readonly string[];
  /** Aborted when somebody else may have it before it was given back. */
  lost: AbortSignal;
}

export interface UserToHold {
  /** `host:port` of the server. */
  endpoint: string;
  user: string;
  sameNames: boolean;
}

/** @throws ConnectionProblem when Auth is not there, or somebody else has it for too long */
export type UserLock = (user: UserToHold, timeoutMs: number) => Promise<HeldUser>;

export const lockAtAuth =
  ({ databaseAgent }: Pick<AuthClient, 'databaseAgent'>): UserLock =>
  async (user, timeoutMs) => {
    const call = new AbortController();
    const late = setTimeout(() => call.abort(busy(user)), timeoutMs);
    try {
      const words = databaseAgent.holdDatabaseUser(user, { signal: call.signal, timeoutMs: 0 })[Symbol.asyncIterator]();
      const first = await words.next();
      if (first.done) throw new TeleportError('ConnectionProblem', 'Auth does not give the lock of a database user');
      const lost = new AbortController();
      const onEnd = () => lost.abort(notHeld(user));
      words.next().then(onEnd, onEnd);
      return { sameNames: first.value.sameNames, lost: lost.signal, [Symbol.dispose]: () => call.abort() };
    } catch (error) {
      throw call.signal.aborted ? call.signal.reason : error;
    } finally {
      clearTimeout(late);
    }
  };

function busy({ user, endpoint }: UserToHold): TeleportError {
  return new TeleportError('ConnectionProblem', `another agent is changing user "${user}" of ${endpoint}`, {
    hint: 'Try again.',
  });
}

const notHeld = ({ user, endpoint }: UserToHold) =>
  new TeleportError('ConnectionProblem', `Auth no longer holds user "${user}" of ${endpoint} for this agent`, {
    hint: 'Try again.',
  });
