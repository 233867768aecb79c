// What Node writes to the file that NODE_REDIRECT_WARNINGS names.

/** What the tests cannot do without. */
const EXPECTED = [/^\(node:\d+\) ExperimentalWarning: VM Modules is an experimental feature/];

/** Each warning with the stack of its cause, the same one of several processes once, without those that are expected. */
export function warningsIn(text) {
  const found = new Map();
  for (const one of text.split(/^(?=\(node:\d+\) )/m)) {
    if (one.trim() === '' || EXPECTED.some((pattern) => pattern.test(one))) continue;
    const key = one.replace(/^\(node:\d+\)/, '');
    if (!found.has(key)) found.set(key, one.trimEnd());
  }
  return [...found.values()];
}
