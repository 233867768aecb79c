/** DER (X.690) as test certificates need it: an element from its tag and content, and the few kinds that have a form. */

export const SEQUENCE = 0x30;

export const bytes = (...values: number[]): Buffer => Buffer.from(values);

export function der(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const header = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([bytes(tag, ...header), body]);
}

/** INTEGER below 128. */
export const integer = (value: number): Buffer => der(0x02, bytes(value));

/** OBJECT IDENTIFIER from its dotted text. */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  return der(0x06, bytes(first! * 40 + second!), ...rest.map(base128));
}

/** PrintableString, as Go writes what fits in it, or UTF8String. */
export function text(value: string): Buffer {
  return der(/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? 0x13 : 0x0c, Buffer.from(value));
}

/** UTCTime up to 2049, GeneralizedTime after that. */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().slice(0, 19).replace(/\D/g, '')}Z`;
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

function base128(value: number): Buffer {
  const groups = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
  return Buffer.from(groups);
}
