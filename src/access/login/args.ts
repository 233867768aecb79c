/** The flags of a login. */

/** The flags of a login in a browser. */
export interface BrowserArgs {
  /** `host:port` to listen on. */
  bindAddr?: string | undefined;
  /** Base URL of the listener as the browser reaches it. */
  callback?: string | undefined;
  /** `none`: the person opens the link. */
  browser?: string | undefined;
  browserLogin?: string | undefined;
}

/** The flags that say where and as whom; those of the command table by their names. */
export interface LoginArgs extends BrowserArgs {
  proxy?: string | undefined;
  user?: string | undefined;
  cluster?: string | undefined;
  /** Identity file. */
  identity?: string | undefined;
  insecure?: boolean | undefined;
  /** Connector. */
  auth?: string | undefined;
  /** Minutes. */
  ttl?: number | undefined;
  headless?: boolean | undefined;
  skipVersionCheck?: boolean | undefined;
}
