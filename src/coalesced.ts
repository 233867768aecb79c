/**
 * Work that may be asked for more often than it can be done: one runs, and one more after it for all who have asked meanwhile,
 * since what they saw may be newer than what the first one has looked at.
 *
 * @returns asks for it; resolves, or rejects, with a run that began after that
 */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (!running) return begin();
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}
