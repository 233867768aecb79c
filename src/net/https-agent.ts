/** HTTPS for libraries that bring their own client: its connections are dialled as all others of ours, with our trust and proxies. */
import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { dialTls } from './dial.js';

export interface DialAgentOptions {
  /** Environment: proxies, and whom to trust. */
  vars: Record<string, string | undefined>;
  /** For dialling. */
  timeoutMs: number;
  /** PEM: the only authorities trusted. */
  ca?: readonly string[] | undefined;
}

export class DialAgent extends Agent {
  readonly #dial: (target: { host: string; port: number; servername?: string }) => Promise<Duplex>;

  constructor({ vars, timeoutMs, ca }: DialAgentOptions) {
    super({ keepAlive: true });
    this.#dial = (target) =>
      dialTls({ ...target, vars, timeoutMs, alpn: ['http/1.1'], ...(ca ? { ca: [...ca] } : {}) });
  }

  override createConnection(
    options: AgentOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const { host, port, servername } = options as { host?: string; port?: number | string; servername?: string };
    const target = { host: host ?? 'localhost', port: Number(port ?? 443), ...(servername ? { servername } : {}) };
    this.#dial(target).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    );
  }
}
