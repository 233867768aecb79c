/** The one place where a test asks again and again: for what other processes do in their own time and tell nobody. */

/** Shorter than a test may take, so that the words of this wait are seen. */
const PATIENCE_MS = 100_000;
const AGAIN_MS = 25;

/** @throws Error that names what did not come */
export async function until<T>(what: string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
