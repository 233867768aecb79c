/**
 * Reads the QR code of a sign-up. In a thread, because the reader uses `Math` for every point of the picture, and Jest's
 * sandbox makes each use of a global slow: seconds instead of milliseconds.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const READER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { PNG } = require('pngjs');
  const jsQR = require('jsqr');
  const { width, height, data } = PNG.sync.read(Buffer.from(workerData, 'base64'));
  const found = (jsQR.default ?? jsQR)(new Uint8ClampedArray(data), width, height, { inversionAttempts: 'dontInvert' });
  parentPort.postMessage({ width, height, text: found?.data });
`;

/**
 * The text behind a picture, and its size.
 *
 * @param png  base64
 * @throws Error when there is no QR code in it
 */
export async function readQr(png: string): Promise<{ text: string; width: number; height: number }> {
  const reader = new Worker(READER, { eval: true, workerData: png });
  const [found] = await once(reader, 'message');
  await reader.terminate();
  if (found.text === undefined) throw new Error('the QR code cannot be read');
  return found;
}
