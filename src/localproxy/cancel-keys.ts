/**
 * Cancels what the clients of a connector left running: a psql that is ended has no time for it, and its statement would go on
 * in the database for nobody.
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
  add(key: BackendKey | undefined): void;
  /** Looks for the key in what a server says up to its first ReadyForQuery; after that it costs a comparison a chunk. */
  watch(): (chunk: Buffer) => void;
  /** Cancel on every connection. Never throws: a cancel is a wish, and nobody answers it. */
  cancelAll(): Promise<void>;
}

const KEY = BACKEND_TAGS.BackendKeyData.charCodeAt(0);
const READY = BACKEND_TAGS.ReadyForQuery.charCodeAt(0);
/** The last connections of a client; that one of them has ended does no harm. psql has one at a time. Our own limit. */
const MOST_KEYS = 16;
/** From the dial to the server's goodbye. Shorter than the tidying of a command. Our own limit. */
const CANCEL_TIMEOUT_MS = 4000;

/** @param dial  a connection on which a CancelRequest may be sent */
export function cancelKeys(dial: () => Promise<Duplex>, log: Logger): CancelKeys {
  const keys: BackendKey[] = [];
  const send = async (key: BackendKey) => await cancel(await dial(), key, { timeoutMs: CANCEL_TIMEOUT_MS });
  const cancelOne = async (key: BackendKey) => {
    try {
      await withDeadline(send(key), CANCEL_TIMEOUT_MS, 'a cancel');
    } catch (error) {
      log.debug('A statement could not be cancelled.', { error: messageOf(error) });
    }
  };
  const add = (key: BackendKey | undefined) => {
    if (key === undefined) return;
    keys.push(key);
    if (keys.length > MOST_KEYS) keys.shift();
  };
  return {
    add,
    watch() {
      let isOver = false;
      const scanner = createScanner({
        side: 'backend',
        refuseUnknown: false,
        wanted: (tag) => (tag === KEY ? MAX_CANCEL_KEY_BYTES + 4 : tag === READY ? 0 : undefined),
        onMessage(tag, _bytes, body) {
          if (tag === READY) isOver = true;
          else if (!isOver && body) {
            const message = decodeBackend(tag, body);
            if (message.type === 'BackendKeyData') add({ pid: message.pid, secret: Buffer.from(message.secret) });
          }
        },
      });
      return (chunk) => {
        if (isOver) return;
        try {
          scanner.push(chunk);
        } catch {
          isOver = true; // the client will say what is wrong with it
        }
      };
    },
    cancelAll: async () => void (await Promise.all(keys.splice(0).map(cancelOne))),
  };
}
