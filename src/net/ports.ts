/** Ports of Teleport's two listeners, where an address names none. */
export const AUTH_PORT = 3025;
export const WEB_PORT = 3080;
