/** Ending many things at once. */
import { setMaxListeners } from 'node:events';

/** A controller for whose signal many wait together: a session, a client, a database each. Node would take them for a leak. */
export function abortForMany(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
