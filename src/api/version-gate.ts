/** Which clients we talk to: those that announce no version, or 17.0.0-aa and later (auth-grpc-and-routing.md 5). */

const MIN_MAJOR = 17;
const MIN_PRERELEASE = 'aa';
const SEMVER = /^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** False when the text is not a version, or an older one. */
export function supportedClient(version: string): boolean {
  const parts = SEMVER.exec(version);
  if (parts === null) return false;
  const [major, minor, patch] = parts.slice(1, 4).map(Number) as [number, number, number];
  if (major !== MIN_MAJOR) return major > MIN_MAJOR;
  if (minor > 0 || patch > 0 || parts[4] === undefined) return true;
  return parts[4] >= MIN_PRERELEASE;
}
