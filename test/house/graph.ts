/** The source as a graph: its files, what each imports, which room each stands in. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { MAY_IMPORT } from './rules.js';

export const SRC = resolve('src');

export interface Import {
  from: string;
  target: string;
  typeOnly: boolean;
  dynamic: boolean;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(path);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.bench.ts') && !entry.name.endsWith('.d.ts')
      ? [path]
      : [];
  });
}

export function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found: Import[] = [];
  for (const m of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)) {
    found.push({ from: file, target: m[2]!, typeOnly: m[1] !== undefined, dynamic: false });
  }
  for (const m of text.matchAll(/\bimport\(['"`]([^'"`]+)['"`]\)/g)) {
    found.push({ from: file, target: m[1]!, typeOnly: false, dynamic: true });
  }
  return found;
}

export function resolveOwn(from: string, target: string): string | undefined {
  if (!target.startsWith('.')) return undefined;
  const path = resolve(dirname(from), target).replace(/\.js$/, '.ts');
  return existsSync(path) ? path : undefined;
}

/** `src/pg/decode.ts` → `pg`; `src/access/aws/open.ts` → `access/aws`; `src/errors.ts` → `errors`. */
export function roomOf(file: string): string {
  const path = relative(SRC, file).split('/');
  const inner = `${path[0]}/${path[1]}`;
  return inner in MAY_IMPORT ? inner : path[0]!.replace(/\.ts$/, '');
}

export const files = filesUnder(SRC);
export const imports = files.flatMap(importsOf);

/** A path as the messages name it. */
export const named = (file: string): string => relative(SRC, file);

/** A file's text without comments, line for line. */
export function codeOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''));
  return text.split('\n').map((line) => line.replace(/(^|\s)\/\/ .*$/, '$1'));
}
