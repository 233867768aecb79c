/**
 * What the Auth Service has to say about a call that it carried out, in a header of the answer: a real `tctl` passes over
 * it, ours prints it.
 */

const HEADER = 'teleshift-note';
/** Of the encoded text; a header must not grow with what a stranger wrote. */
const MAX_CHARS = 4096;

export function putNote(headers: Headers, text: string): void {
  headers.set(HEADER, encodeURIComponent(text.slice(0, MAX_CHARS / 4)).slice(0, MAX_CHARS));
}

/** Call options that pass on a note. */
export function withNote(onNote: (text: string) => void): { onHeader: (headers: Headers) => void } {
  return {
    onHeader: (headers) => {
      const note = headers.get(HEADER);
      if (note) onNote(decoded(note));
    },
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
