/**
 * Does a text fit a pattern in which `*` is any text, and on request `?` any one character? In time that grows with the
 * length of the text and of the pattern, never with their product or worse. Pure.
 */

/** @param single  a character that stands for any one, `?` */
export function fitsGlob(glob: string, text: string, { single }: { single?: string } = {}): boolean {
  // What most patterns differ in, before anything is made.
  if (single === undefined && glob !== '' && glob[0] !== '*' && glob[0] !== text[0]) return false;
  const parts = glob.split('*');
  if (parts.length === 1) return glob.length === text.length && startsWith(text, glob, 0, single);
  const [first, last] = [parts[0]!, parts.at(-1)!];
  if (text.length < first.length + last.length) return false;
  const end = text.length - last.length;
  if (!startsWith(text, first, 0, single) || !startsWith(text, last, end, single)) return false;
  let from = first.length;
  // The first place where a part fits leaves most room for those after it.
  for (const part of parts.slice(1, -1)) {
    const at = find(text, part, from, end, single);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

function startsWith(text: string, part: string, from: number, single: string | undefined): boolean {
  if (single === undefined || !part.includes(single)) return text.startsWith(part, from);
  for (let at = 0; at < part.length; at++) {
    if (part[at] !== single && part[at] !== text[from + at]) return false;
  }
  return true;
}

/** Where `part` stands in `text` between `from` and `end`, or -1. */
function find(text: string, part: string, from: number, end: number, single: string | undefined): number {
  if (single === undefined || !part.includes(single)) return findPlain(text, part, from, end);
  for (let at = from; at + part.length <= end; at++) if (startsWith(text, part, at, single)) return at;
  return -1;
}

/** Knuth, Morris and Pratt: `indexOf` may compare each character of the text with the whole part. */
function findPlain(text: string, part: string, from: number, end: number): number {
  if (part === '') return from;
  const borders = new Int32Array(part.length);
  for (let at = 1, length = 0; at < part.length; at++) {
    while (length > 0 && part[at] !== part[length]) length = borders[length - 1]!;
    if (part[at] === part[length]) length++;
    borders[at] = length;
  }
  for (let at = from, length = 0; at < end; at++) {
    while (length > 0 && text[at] !== part[length]) length = borders[length - 1]!;
    if (text[at] === part[length]) length++;
    if (length === part.length) return at + 1 - length;
  }
  return -1;
}
