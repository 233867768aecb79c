/**
 * What a document quotes: commands of the three programs, their flags, texts, and files in YAML. Markdown in, quotes out; pure.
 *
 * A quote is a code span, or a line of a fenced block `sh` or `console`. An example stands for what varies, so a text is
 * taken apart at `…`, at quoted values, numbers, addresses, paths and words in capitals; each piece that is left must be there.
 */

export interface Quote {
  /** First is 1. */
  line: number;
  text: string;
}

export interface Quotes {
  /** Whole lines of blocks `sh` and `console`, continued lines joined. */
  lines: Quote[];
  spans: Quote[];
  /** Those that begin with a small letter: they are a text that people look for. */
  headings: Quote[];
  /** Whole blocks `yaml`. */
  yaml: Quote[];
}

export function quotesOf(markdown: string): Quotes {
  const lines: Quote[] = [];
  const prose: string[] = [];
  let fence: string | undefined;
  let continued = '';
  for (const [at, line] of markdown.split('\n').entries()) {
    const [, opened] = /^\s*```(\w*)/.exec(line) ?? [];
    if (opened !== undefined) {
      fence = fence === undefined ? opened : undefined;
      prose.push('');
    } else if (fence === undefined) prose.push(line);
    else {
      prose.push('');
      if (fence !== 'sh' && !(fence === 'console' && (continued || /^\w*\$ /.test(line)))) continue;
      const whole = `${continued}${line.replace(/^\w*\$ /, '')}`;
      continued = whole.endsWith('\\') ? `${whole.slice(0, -1)} ` : '';
      if (!continued) lines.push({ line: at + 1, text: whole });
    }
  }
  // A span may go over the end of a line.
  const text = prose.join('\n');
  const spans = [...text.matchAll(/`([^`]+)`/g)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    text: match[1]!.replace(/\s*\n\s*/g, ' '),
  }));
  const headings = prose.flatMap((line, at) => {
    const [, heading] = /^#+ ([a-z].*)/.exec(line) ?? [];
    return heading === undefined ? [] : [{ line: at + 1, text: heading }];
  });
  const yaml = [...markdown.matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => ({
    line: markdown.slice(0, match.index).split('\n').length,
    text: match[1]!,
  }));
  return { lines, spans, headings, yaml };
}

/** The command lines of our programs in a line of a shell, each as words: `eval "$(tsh db env sales)"` has one. */
export function commandsIn(line: string): string[][] {
  const starts = /(?:^|[;&|(]|\b[A-Z_]+=\S+ |\bsudo )\s*((?:tsh|tctl|teleport)(?: |$).*)/;
  const [, found] = starts.exec(line.replace(/(?:^|\s)#.*/, '')) ?? [];
  if (found === undefined) return [];
  return [shellWords(found), ...commandsIn(found.slice(1))];
}

/** The words up to what ends a command; redirections are left out. Quotes are taken off. */
function shellWords(line: string): string[] {
  const words: string[] = [];
  let inRedirection = false;
  for (const [whole] of line.matchAll(/(?:'[^']*'|"[^"]*"|\\.|[^\s;&|()'"\\])+|[;&|()]/g)) {
    if (/^[;&|()]$/.test(whole) || whole.startsWith('#')) break;
    const redirection = /^\d?[<>]+(.*)$/.exec(whole);
    if (redirection) inRedirection = redirection[1] === '';
    else if (inRedirection) inRedirection = false;
    else words.push(whole.replace(/'([^']*)'|"([^"]*)"/g, (_, one, two) => one ?? two));
  }
  return words;
}

/** Is this span a text that a program says, and not SQL, YAML or a line for another program? */
export function isText(span: string): boolean {
  const words = /^["…A-Za-z][^{}<>=|&;\\[\]]* [^{}<>=|&;\\[\]]*$/;
  const code = /^\w+\(/;
  const another =
    /^(?:aws|create|db|docker|env|grant|install|nc|npm|openssl|proxy|psql|select|ssh|ssh-keygen|systemctl|timedatectl) /;
  const yaml = /^[\w-]+: (?:[\w-]+|[a-z]+:.*)$/;
  return words.test(span) && !code.test(span) && !another.test(span) && !yaml.test(span);
}

/** The pieces of a quoted text that do not vary, each two words or more. */
export function piecesOf(text: string): string[] {
  return text
    .split(/…\S*|"[^"]*"|\S*\d\S*|(?:^|(?<=\s))\S*(?:[/@]|\.\w)\S*|\b[A-Z][A-Z_]+\b/)
    .map((piece) => piece.replace(/^[\s:;,.(]+|[\s:;,.)]+$/g, ''))
    .filter((piece) => / /.test(piece));
}

/** Source text as one line of literals: concatenations joined, escapes undone. */
export function literalsOf(source: string): string {
  return source
    .replace(/\n\s*(?:\/\/|\*) ?.*/g, '')
    .replace(/['"`]\s*\+\s*['"`]/g, '')
    .replace(/\\(['"`])/g, '$1')
    .replace(/\s+/g, ' ');
}
