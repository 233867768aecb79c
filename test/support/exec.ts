/** What `tsh db exec` says on standard error besides its progress. */
export function withoutProgress(stderr: string): string {
  return stderr.replace(
    /^(Fetching databases by name \.\.\.|\nExecuting command for ".*"\.|Executing command for ".*"\. Output will be saved at ".*"\.|\nSummary: \d+ of \d+ succeeded\.|Summary is saved at ".*"\.)\n/gm,
    '',
  );
}
