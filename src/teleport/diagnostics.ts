/**
 * The diagnostic listener of `diag_addr`: plain HTTP for probes and for Prometheus. It tells states and counts, never a
 * name or a secret.
 *
 *     /healthz  200 as long as the process answers
 *     /readyz   200 when every service is up, 503 while starting, draining, or cut off from Auth
 *     /metrics  Prometheus text format 0.0.4
 *
 * Source: Teleport 18, "Health monitoring" and "Metrics" of its reference.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';

export type Readiness = 'starting' | 'ok' | 'cut-off' | 'draining';

export interface Metric {
  name: string;
  type: 'gauge' | 'counter';
  help: string;
  value: number;
  labels?: Record<string, string>;
}

export interface DiagnosticsOptions {
  host: string;
  port: number;
  readiness: () => Readiness;
  /** Read at every scrape. */
  metrics: () => Metric[];
}

export interface Diagnostics {
  readonly address: { host: string; port: number };
  close(): Promise<void>;
}

/** A request's headers must be there by then. */
const REQUEST_TIMEOUT_MS = 5_000;
const MOST_CONNECTIONS = 64;
const NOT_READY: Record<Exclude<Readiness, 'ok'>, string> = {
  starting: 'teleport is starting',
  'cut-off': 'teleport hears nothing from the Auth Service',
  draining: 'teleport is draining and will stop',
};

/** @throws ConnectionProblem when the address cannot be listened on */
export async function startDiagnostics(options: DiagnosticsOptions): Promise<Diagnostics> {
  const server = createServer(
    { headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => answer(options, request, response),
  );
  server.maxConnections = MOST_CONNECTIONS;
  const { host, port } = options;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new TeleportError('ConnectionProblem', `diag_addr ${joinHostPort(host, port)}: ${messageOf(cause)}`, {
          cause,
          hint: 'Choose another address: teleport start --diag-addr=127.0.0.1:PORT.',
        }),
      ),
    );
    server.listen({ host, port }, resolve);
  });
  server.on('error', () => {});
  return {
    address: { host, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

function answer(options: DiagnosticsOptions, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const { status, type, body } = answerTo(options, request);
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

function answerTo(options: DiagnosticsOptions, { method, url }: IncomingMessage): Answer {
  if (method !== 'GET' && method !== 'HEAD') return json(405, 'method not allowed');
  switch (url?.split('?')[0]) {
    case '/healthz':
      return json(200, 'ok');
    case '/readyz': {
      const readiness = options.readiness();
      return readiness === 'ok' ? json(200, 'ok') : json(503, NOT_READY[readiness]);
    }
    case '/metrics': {
      const type = 'text/plain; version=0.0.4; charset=utf-8';
      return { status: 200, type, body: metricsText(options.metrics()) };
    }
    default:
      return json(404, 'not found');
  }
}

function json(status: number, text: string): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify({ status: text })}\n` };
}

/** Prometheus text format. */
export function metricsText(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, type, help, value, labels }) => {
      const pairs = Object.entries(labels ?? {}).map(([key, text]) => `${key}=${quoted(text)}`);
      const tail = pairs.length > 0 ? `{${pairs.join(',')}}` : '';
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}${tail} ${value}\n`;
    })
    .join('');
}

function quoted(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/** What every process has. */
export function processMetrics(version: string): Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: 'teleport_build_info',
      type: 'gauge',
      help: 'Version of this program; the value is always 1.',
      value: 1,
      labels: { version, runtime: process.version },
    },
    {
      name: 'process_resident_memory_bytes',
      type: 'gauge',
      help: 'Resident memory size in bytes.',
      value: process.memoryUsage.rss(),
    },
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'Total user and system CPU time spent in seconds.',
      value: (user + system) / 1e6,
    },
    {
      name: 'process_start_time_seconds',
      type: 'gauge',
      help: 'Start time of the process since unix epoch in seconds.',
      value: Math.round(Date.now() / 1000 - process.uptime()),
    },
  ];
}

/** The same for the log: bytes, seconds, and how many of each kind of resource keep the process up. */
export function processState(): Record<string, number | string> {
  const { rss, heapUsed, external } = process.memoryUsage();
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return {
    uptime_seconds: Math.round(process.uptime()),
    rss_bytes: rss,
    heap_bytes: heapUsed,
    external_bytes: external,
    resources: [...counts].map(([kind, count]) => `${kind}=${count}`).join(','),
    runtime: process.version,
  };
}
