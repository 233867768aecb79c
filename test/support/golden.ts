/**
 * Golden transcripts: text files that say what a person types and sees. Lines by their first character:
 *
 *     # remark        $ command line      < answer typed at a prompt
 *     > stdout line   ! stderr line       = exit status
 *
 * Expected stdout comes before expected stderr. `{NAME}` stands for what changes (`replace` below); `\e` is ESC;
 * `{NO_NEWLINE}` says that the output ends without newline. With GOLDEN=1 the expectations are written anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface GoldenOptions {
  /**
   * Run one command line.
   *
   * @param words  program name first, split as a shell splits them
   * @param call  `vars` from `NAME=value` before the program, `answers` from `<` lines
   */
  run(words: string[], call: { vars: Record<string, string>; answers: string[] }): Promise<GoldenResult>;
  /** Placeholder name → what it stands for. Literals go first, longest first. Read again before each comparison. */
  replace?: () => Record<string, string | RegExp>;
}

export interface GoldenResult {
  stdout: string;
  stderr: string;
  status: number;
}

interface Step {
  remarks: string[];
  command: string;
  answers: string[];
  expected: string[];
}

/** What changes from run to run in every transcript. */
const ALWAYS: Record<string, RegExp> = {
  TIME: /\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z| [-+]\d{4} [A-Z]{3,4}| UTC)?/g,
  UUID: /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g,
  CA_PIN: /\bsha256:[0-9a-f]{64}\b/g,
  TOKEN: /\b[0-9a-f]{32}\b/g,
};

/**
 * Run a transcript and compare, step by step.
 *
 * @returns the expected and the actual text of the whole file; equal when it holds. Compare with `toBe` for a diff.
 */
export async function runTranscript(
  file: string,
  options: GoldenOptions,
): Promise<{ expected: string; actual: string }> {
  const source = readFileSync(file, 'utf8');
  const { header, steps } = parse(source);
  const expected: string[] = [...header];
  const actual: string[] = [...header];
  for (const step of steps) {
    const top = [...step.remarks, `$ ${step.command}`, ...step.answers.map((answer) => `< ${answer}`)];
    const { vars, words } = splitCommand(step.command);
    const result = await options.run(words, { vars, answers: step.answers });
    const seen = render(result, { ...ALWAYS, ...options.replace?.() });
    expected.push(...top, ...step.expected, '');
    actual.push(...top, ...seen, '');
  }
  if (process.env.GOLDEN === '1') {
    writeFileSync(file, actual.join('\n'));
    return { expected: actual.join('\n'), actual: actual.join('\n') };
  }
  return { expected: expected.join('\n'), actual: actual.join('\n') };
}

/** Split a command line as a shell does: quotes, backslashes, leading `NAME=value`. */
export function splitCommand(line: string): { vars: Record<string, string>; words: string[] } {
  const all: string[] = [];
  let word: string | undefined;
  for (const [, single, double, escaped, space, plain] of line.matchAll(
    /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|(\s+)|([^\s'"\\]+)/g,
  )) {
    if (space !== undefined) {
      if (word !== undefined) all.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '');
    }
  }
  if (word !== undefined) all.push(word);
  const vars: Record<string, string> = {};
  while (all[0] !== undefined && /^[A-Z_][A-Z0-9_]*=/.test(all[0])) {
    const [name, ...value] = all.shift()!.split('=');
    vars[name!] = value.join('=');
  }
  return { vars, words: all };
}

function parse(source: string): { header: string[]; steps: Step[] } {
  const header: string[] = [];
  const steps: Step[] = [];
  let remarks: string[] = [];
  for (const line of source.split('\n')) {
    const kind = line[0];
    const text = line.slice(2);
    const step = steps.at(-1);
    if (kind === '#') remarks.push(line);
    else if (kind === '$') {
      steps.push({ remarks: steps.length === 0 ? [] : remarks, command: text, answers: [], expected: [] });
      if (steps.length === 1) header.push(...remarks, ...(remarks.length > 0 ? [''] : []));
      remarks = [];
    } else if (kind === '<') step?.answers.push(text);
    else if (kind === '>' || kind === '!' || kind === '=') step?.expected.push(line.length === 1 ? `${line} ` : line);
    else if (line !== '') throw new Error(`not a transcript line: ${line}`);
  }
  return { header, steps };
}

function render(result: GoldenResult, replace: Record<string, string | RegExp>): string[] {
  return [...marked('>', result.stdout, replace), ...marked('!', result.stderr, replace), `= ${result.status}`];
}

function marked(mark: string, text: string, replace: Record<string, string | RegExp>): string[] {
  if (text === '') return [];
  const lines = masked(text, replace).replaceAll('\u001b', '\\e').split('\n');
  if (lines.at(-1) === '') lines.pop();
  else lines[lines.length - 1] += '{NO_NEWLINE}';
  return lines.map((line) => `${mark} ${line}`);
}

function masked(text: string, replace: Record<string, string | RegExp>): string {
  const literals = Object.entries(replace).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const patterns = Object.entries(replace).filter((entry): entry is [string, RegExp] => typeof entry[1] !== 'string');
  let out = text;
  for (const [name, literal] of literals.sort((a, b) => b[1].length - a[1].length)) {
    if (literal !== '') out = out.replaceAll(literal, `{${name}}`);
  }
  for (const [name, pattern] of patterns) out = out.replace(pattern, `{${name}}`);
  return out;
}
