/** Ports of Teleport's listeners, where an address names none. */
export const AUTH_PORT = 3025;
export const WEB_PORT = 3080;
/** Of a Proxy that has a port of its own for it. */
export const POSTGRES_PORT = 5432;
