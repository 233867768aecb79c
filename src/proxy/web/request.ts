/** A request as the handlers of the web API see it. */
import type { Body } from './body.js';

export interface WebRequest {
  method: string;
  /** Decoded, without the query. */
  path: string;
  /** What stood in the place of `{name}` and `{rest...}` of the route. */
  params: Record<string, string>;
  headers: Record<string, string | string[] | undefined>;
  /** The client's IP address. */
  address: string;
  userAgent: string;
  /** What the client called us, `host:port`. */
  host: string;
  /** Read the JSON body; once. */
  body(): Promise<Body>;
  /** Read the body as a form of HTML; instead of `body`. */
  form(): Promise<URLSearchParams>;
}
