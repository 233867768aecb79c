/**
 * The keys by which the clients of a connector cancel, while they are connected. They are known for two reasons: a psql that is
 * ended has no time to cancel its statement, which would go on in the database for nobody; and a CancelRequest tells by its key
 * that it is of a client who is known, when nothing else can tell any more.
 */
import type { Duplex } from 'node:stream';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { decodeBackend } from '../pg/decode.js';
import { cancel } from '../pg/frontend.js';
import { BACKEND_TAGS, type BackendKey, MAX_CANCEL_KEY_BYTES } from '../pg/messages.js';
import { createScanner } from '../pg/scan.js';
import { withDeadline } from '../wait.js';

export interface CancelKeys {
  /** @returns forgets the key: the connection has ended */
  add(key: BackendKey | undefined): Disposable;
  /** Looks for the key in what a server says up to its first ReadyForQuery; after that it costs a comparison a chunk. */
  watch(): KeyWatch;
  has(key: BackendKey): boolean;
  /** Cancel on every connection. Never throws: a cancel is a wish, and nobody answers it. */
  cancelAll(): Promise<void>;
}

export interface KeyWatch extends Disposable {
  push(chunk: Buffer): void;
}

const KEY = BACKEND_TAGS.BackendKeyData.charCodeAt(0);
const READY = BACKEND_TAGS.ReadyForQuery.charCodeAt(0);
/** From the dial to the server's goodbye. Shorter than the tidying of a command. Our own limit. */
const CANCEL_TIMEOUT_MS = 4000;

/** @param dial  a connection on which a CancelRequest may be sent */
export function cancelKeys(dial: () => Promise<Duplex>, log: Logger): CancelKeys {
  const keys = new Map<string, BackendKey>();
  const send = async (key: BackendKey) => await cancel(await dial(), key, { timeoutMs: CANCEL_TIMEOUT_MS });
  const cancelOne = async (key: BackendKey) => {
    try {
      await withDeadline(send(key), CANCEL_TIMEOUT_MS, 'a cancel');
    } catch (error) {
      log.debug('A statement could not be cancelled.', { error: messageOf(error) });
    }
  };
  const add = (key: BackendKey | undefined): Disposable => {
    if (key !== undefined) keys.set(nameOf(key), key);
    return { [Symbol.dispose]: () => void (key && keys.delete(nameOf(key))) };
  };
  return {
    add,
    has: (key) => keys.has(nameOf(key)),
    watch() {
      let isOver = false;
      let kept: Disposable | undefined;
      const scanner = createScanner({
        side: 'backend',
        refuseUnknown: false,
        wanted: (tag) => (tag === KEY ? MAX_CANCEL_KEY_BYTES + 4 : tag === READY ? 0 : undefined),
        onMessage(tag, _bytes, body) {
          if (tag === READY) isOver = true;
          else if (!isOver && body) {
            const message = decodeBackend(tag, body);
            if (message.type === 'BackendKeyData')
              kept = add({ pid: message.pid, secret: Buffer.from(message.secret) });
          }
        },
      });
      return {
        push(chunk) {
          if (isOver) return;
          try {
            scanner.push(chunk);
          } catch {
            isOver = true; // the client will say what is wrong with it
          }
        },
        [Symbol.dispose]: () => kept?.[Symbol.dispose](),
      };
    },
    cancelAll: async () => void (await Promise.all([...keys.values()].map(cancelOne))),
  };
}

const nameOf = ({ pid, secret }: BackendKey) => `${pid} ${secret.toString('hex')}`;
