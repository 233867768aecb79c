/**
 * PEM text in and out (RFC 7468, with 64 characters a line). Text outside the blocks is skipped; a block that begins
 * and does not end is an error. Only these functions know what the dashes look like.
 */
import { TeleportError } from '../errors.js';

/** One block: its label, its bytes, and its text in our own line form with a newline at the end. */
export interface PemBlock {
  type: string;
  der: Buffer;
  pem: string;
}

/** Longest text we look at: a CA bundle of a few hundred certificates. */
export const MAX_PEM_CHARS = 4 * 1024 * 1024;

/**
 * All blocks of a text in their order.
 *
 * @param type  only blocks with this label, for example `CERTIFICATE`
 * @throws TeleportError `BadParameter` for a block without end, with other characters than Base64, or too long a text
 */
export function decodePem(pemText: string, type?: string): PemBlock[] {
  if (pemText.length > MAX_PEM_CHARS) throw broken(`more than ${MAX_PEM_CHARS} characters`);
  const blocks: PemBlock[] = [];
  let open: { type: string; lines: string[] } | undefined;
  for (const [i, raw] of pemText.split('\n').entries()) {
    const line = raw.trim();
    const mark = MARK.exec(line);
    if (mark === null) {
      // Two files put together, the first without a line end.
      if (open && /-----END .*-----BEGIN /.test(line)) throw broken('one block ends and another begins on one line', i);
      open?.lines.push(line);
    } else if (mark[1] === 'BEGIN') {
      if (open !== undefined) throw broken(`a ${open.type} block does not end`, i);
      open = { type: mark[2]!, lines: [] };
    } else {
      if (open?.type !== mark[2]) throw broken(`a ${mark[2]} block ends that did not begin`, i);
      const der = decodeBody(open!.lines, open!.type, i);
      blocks.push({ type: open!.type, der, pem: encodePem(open!.type, der) });
      open = undefined;
    }
  }
  if (open !== undefined) throw broken(`a ${open.type} block does not end`);
  return type === undefined ? blocks : blocks.filter((block) => block.type === type);
}

/** The same as text: one PEM string a block, each with a newline at its end. */
export function splitPem(pemText: string, type?: string): string[] {
  return decodePem(pemText, type).map((block) => block.pem);
}

/** One block with a newline at its end. */
export function encodePem(type: string, der: Uint8Array): string {
  const lines = Buffer.from(der.buffer, der.byteOffset, der.length)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${type}-----\n${lines}\n-----END ${type}-----\n`;
}

const MARK = /^-----(BEGIN|END) ([A-Z0-9 _]{1,64})-----$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function decodeBody(lines: string[], type: string, line: number): Buffer {
  if (lines.some((one) => /^[A-Za-z0-9-]+:/.test(one))) throw broken(`the ${type} block is encrypted`, line);
  const body = lines.join('');
  if (body.length % 4 !== 0 || !BASE64.test(body)) throw broken(`the ${type} block that ends here is not Base64`, line);
  return Buffer.from(body, 'base64');
}

/** @param line  counted from 0 */
function broken(detail: string, line?: number): TeleportError {
  const where = line === undefined ? '' : `line ${line + 1}: `;
  return new TeleportError('BadParameter', `PEM text cannot be read: ${where}${detail}`);
}
