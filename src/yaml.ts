/**
 * The one door to the `yaml` package. Read when there is YAML to read or to write. What is nested too deeply is refused before
 * it is parsed: the package goes down by recursion, and a stack that is full can end the process.
 */
import {
  type DocumentOptions,
  Lexer,
  type ParseOptions,
  parseAllDocuments as parseAllUnchecked,
  parseDocument as parseDocumentUnchecked,
  parse as parseUnchecked,
  type SchemaOptions,
  type ToJSOptions,
} from 'yaml';
import { TeleportError } from './errors.js';

export { Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, type Pair, type Tags, visit } from 'yaml';

/** Deepest nesting that is read; our own limit. */
export const MAX_YAML_DEPTH = 100;

type Options = ParseOptions & DocumentOptions & SchemaOptions;

/** @throws TeleportError `BadParameter` for what is nested too deeply; what `yaml` throws for what is not YAML */
export function parse(source: string, options?: Options & ToJSOptions): unknown {
  checkDepth(source);
  return parseUnchecked(source, options);
}

/** @throws TeleportError `BadParameter` for what is nested too deeply */
export function parseDocument(source: string, options?: Options) {
  checkDepth(source);
  return parseDocumentUnchecked(source, options);
}

/** @throws TeleportError `BadParameter` for what is nested too deeply */
export function parseAllDocuments(source: string, options?: Options) {
  checkDepth(source);
  return parseAllUnchecked(source, options);
}

const FLOW_START = new Set(['[', '{']);
const FLOW_END = new Set([']', '}']);
/** Tokens that stand for no text of their own: beginning of a document, of flow that has ended, of a scalar. */
const MARKS = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);

/**
 * Counts brackets, and outside of them the columns in which something begins, each further right than the one it is in: at
 * least as many as there are levels.
 */
function checkDepth(source: string): void {
  let line = 1;
  let column = 0;
  let flow = 0;
  let columns: number[] = [];
  for (const token of new Lexer().lex(source)) {
    if (MARKS.has(token)) {
      if (token === '\u0002') [flow, columns] = [0, []];
      continue;
    }
    if (FLOW_START.has(token)) flow++;
    else if (FLOW_END.has(token)) flow = Math.max(0, flow - 1);
    else if (flow === 0 && /\S/.test(token[0]!) && token[0] !== '#') {
      while (columns.length > 0 && columns.at(-1)! > column) columns.pop();
      if ((columns.at(-1) ?? -1) < column) columns.push(column);
    }
    if (flow + columns.length > MAX_YAML_DEPTH) {
      throw new TeleportError(
        'BadParameter',
        `the YAML is nested more than ${MAX_YAML_DEPTH} levels deep in line ${line}`,
      );
    }
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) line++;
    const end = token.lastIndexOf('\n');
    column = end < 0 ? column + token.length : token.length - end - 1;
  }
}
