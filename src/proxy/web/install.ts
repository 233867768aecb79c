/**
 * `curl https://PROXY/scripts/install.sh | sh`: a script that installs the package which this Proxy serves, and checks its SHA-256.
 * It takes what Teleport's takes, a version and an edition; of both there is one.
 */
import { TeleportError } from '../../errors.js';
import { FairShare, originOf } from '../../net/fair-share.js';
import { quotedWord } from '../../shell-word.js';
import type { WebAnswer } from './answer.js';
import { installablePackage } from './package.js';
import type { ProxySettings } from './ping.js';

export async function installScript(host: string, { version, publicAddr }: ProxySettings): Promise<WebAnswer> {
  const { name, sha256, oldestNode } = await installablePackage();
  const url = `https://${(publicAddr ?? host).replace(/:443$/, '')}/scripts/${name}`;
  return {
    status: 200,
    headers: { 'content-type': 'text/x-shellscript; charset=utf-8', 'cache-control': 'no-cache' },
    body: script({ version, url, sha256, oldestNode }),
  };
}

/** Downloads at a time; a stranger has 10 s for one. */
const downloads = new FairShare(32);

export async function packageFile(name: string, address: string): Promise<WebAnswer> {
  const { name: known, bytes } = await installablePackage();
  if (name !== known) throw new TeleportError('NotFound', `there is ${known} only`);
  return {
    status: 200,
    headers: { 'content-type': 'application/gzip', 'cache-control': 'public, max-age=3600' },
    body: bytes,
    place: (cut) => downloads.take(originOf(address), cut),
  };
}

interface Parts {
  version: string;
  url: string;
  sha256: string;
  oldestNode: string;
}

/** For sh, whatever it is: what runs stands in a function, so that half a script does nothing. */
const script = ({ version, url, sha256, oldestNode }: Parts) => `#!/bin/sh
# Installs tsh, tctl and teleport ${version} with npm, for everybody on this machine or, with a prefix of your own, for you.
#
#   curl -fsSL ${quotedWord(url.replace(/[^/]*$/, 'install.sh'))} | sh -s -- [VERSION [EDITION]]
set -eu

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

install() {
  wanted=\${1:-${version}}
  case "\${wanted#v}" in
    ${version}) ;;
    *) fail "this Proxy has version ${version}, not $wanted: leave the version out, or ask the Proxy of a cluster that has it" ;;
  esac
  case "\${2:-oss}" in
    oss | cloud | enterprise | team | edition) ;;
    *) fail "$2 is not an edition: leave it out, since there is one only" ;;
  esac

  command -v node >/dev/null && command -v npm >/dev/null ||
    fail "Node ${oldestNode} or later and npm are needed: https://nodejs.org/en/download"
  node -e 'const [now, least] = [process.versions.node, process.argv[1]].map((text) => text.split(".").map(Number)); process.exit(now[0] > least[0] || (now[0] === least[0] && now[1] >= least[1]) ? 0 : 1)' ${oldestNode} ||
    fail "Node ${oldestNode} or later is needed, and this is $(node --version)"

  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  file="$folder/teleshift-${version}.tgz"
  if command -v curl >/dev/null; then
    curl -fsSL -o "$file" ${quotedWord(url)}
  else
    wget -q -O "$file" ${quotedWord(url)}
  fi || fail ${quotedWord(`cannot get ${url}`)}

  sum=$(node -e 'process.stdout.write(require("crypto").createHash("sha256").update(require("fs").readFileSync(process.argv[1])).digest("hex"))' "$file")
  [ "$sum" = ${sha256} ] || fail "the package has SHA-256 $sum, and not the one that this script was made for. Run it again."

  npm install --global --no-audit --no-fund "$file" ||
    fail "npm could not install it. Without rights to npm's folder: sudo, or a folder of your own (npm config set prefix ~/.local)"
  echo "Installed: $(teleport version 2>/dev/null || echo "teleport ${version}, in $(npm prefix --global)/bin, which is not on your PATH")"
}

install "$@"
`;
