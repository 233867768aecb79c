/** Work of one line that runs one after the other; lines do not wait for each other. */
export async function inTurn<T>(
  turns: Map<string, Promise<unknown>>,
  line: string,
  work: () => Promise<T>,
): Promise<T> {
  const mine = (turns.get(line) ?? Promise.resolve()).then(work, work);
  const settled = mine.catch(() => {});
  turns.set(line, settled);
  try {
    return await mine;
  } finally {
    if (turns.get(line) === settled) turns.delete(line);
  }
}
