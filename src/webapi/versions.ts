/** Do a client and a server of these versions understand each other? As Teleport's clients judge it. Pure. */

interface Version {
  major: number;
  minor: number;
  patch: number;
  /** `aa` of `17.0.0-aa`; it comes before the version itself. */
  prerelease: string;
}

/**
 * One sentence for a person when the server is too old for this client, or this client for the server.
 *
 * @param versions.minClient  what the server still speaks to; absent when it does not say
 */
export function versionWarning(versions: {
  client: string;
  server: string;
  minClient?: string | undefined;
  address: string;
}): string | undefined {
  const client = parsed(versions.client);
  const server = parsed(versions.server);
  const least = parsed(versions.minClient ?? '');
  const silence = 'or silence this with --skip-version-check.';
  if (client && least && isBefore(client, least)) {
    const wanted = versions.minClient!.replace(/-.*/, '');
    return `WARNING: the cluster at ${versions.address} (version ${versions.server}) needs tsh ${wanted} or newer and this is ${versions.client}: upgrade tsh, ${silence}\n`;
  }
  if (client && server && client.major > server.major) {
    return `WARNING: the cluster at ${versions.address} has version ${versions.server}, which is too old for tsh ${versions.client}: use tsh ${server.major}.x, ${silence}\n`;
  }
  return undefined;
}

function parsed(text: string): Version | undefined {
  const [, major, minor, patch, prerelease = ''] = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([\w.-]+))?/.exec(text) ?? [];
  if (major === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: Number(patch), prerelease };
}

function isBefore(a: Version, b: Version): boolean {
  if (a.major !== b.major) return a.major < b.major;
  if (a.minor !== b.minor) return a.minor < b.minor;
  if (a.patch !== b.patch) return a.patch < b.patch;
  if (a.prerelease === b.prerelease || a.prerelease === '') return false;
  return b.prerelease === '' || a.prerelease < b.prerelease;
}
