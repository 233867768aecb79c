/** A word of a command that a person is asked to type, or of a file that a shell reads. Pure. */

/** As it stands where the shell would not change it (Teleport never quotes), in single quotes where it would. */
export function shellWord(value: string): string {
  return /^[\w@%+=:,./-]*$/.test(value) ? value : `'${value.replace(/'/g, `'\\''`)}'`;
}
