import { createServer } from 'node:net';

/**
 * Below the ports that systems give to whoever asks for any (Linux from 32768, others from 49152): nobody else takes one between
 * our look and a bind, or while what was there starts again. Each worker of Jest has its own.
 */
const FIRST = 20_000;
const OF_WORKER = 1_500;
const WORKERS = 8;

/** A port of loopback that nobody has. */
export async function freePort(): Promise<number> {
  const worker = Number(process.env.JEST_WORKER_ID ?? 0) % WORKERS;
  for (;;) {
    const port = FIRST + worker * OF_WORKER + Math.floor(Math.random() * OF_WORKER);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
