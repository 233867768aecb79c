/**
 * Why a keychain refuses, in the words of its person, and the command that puts it right. What keytar, the system's loader,
 * D-Bus, libsecret and the keyring say is known by its text: none of them has codes that come through keytar.
 *
 * Texts seen: glibc 2.36, musl 1.2, GLib 2.74, libsecret 0.20, gnome-keyring 42.1, dbus 1.14, keytar 7.10.6.
 */
import { messageOf, TeleportError } from '../errors.js';

interface Reason {
  /** What is said below. */
  words: RegExp;
  /** Why, or how it is said with what `words` found. */
  reason: string | ((found: RegExpExecArray) => string);
  /** The way out; a sentence that goes on with "or keep keys in files". */
  advice: string;
}

/** It reads the password from standard input, a line end included; without `--replace` a locked one stays locked. */
const UNLOCK = 'read -rs p && printf %s "$p" | gnome-keyring-daemon --replace --unlock --components=secrets';
const START_BUS = `dbus-run-session -- bash -c '${UNLOCK} && exec bash'`;
const REINSTALL = 'Install tsh again with this Node on this system';

/** The first that fits counts. */
const REASONS: readonly Reason[] = [
  {
    words: /Cannot find (?:module|package) 'keytar'/,
    reason: 'keytar is not installed',
    advice: 'Install tsh again without "--omit=optional"',
  },
  {
    words: /keytar has no binary for (\S+)/,
    reason: ([, system]) => `keytar has no binary for ${system}`,
    advice: REINSTALL,
  },
  // The loader names the library that it looked for. A C library says that the binary is of another kind of Linux.
  {
    words:
      /((?:libc\.musl|ld-linux|ld-musl|libc\.so)[\w.+-]*): cannot open shared|Error loading shared library (ld-linux\S*|libc\.\S+):/,
    reason: ([, glibc, musl]) => `the binary of keytar is for another kind of Linux: it needs ${glibc ?? musl}`,
    advice: REINSTALL,
  },
  {
    words:
      /(?:^|[\s/])(lib[\w.+-]+\.so[\w.]*): cannot open shared object file: No such|Error loading shared library (lib[^\s:]+):/m,
    reason: ([, glibc, musl]) => `the library ${nameOf(glibc ?? musl!)} is missing (${glibc ?? musl})`,
    advice:
      'Install it with libsecret (Debian, Ubuntu: apt install libsecret-1-0; Fedora: dnf install libsecret; openSUSE: zypper install libsecret-1-0; Arch: pacman -S libsecret; Alpine: apk add libsecret)',
  },
  {
    words: /((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found/,
    reason: ([, version]) => `the binary of keytar needs a newer system: ${version}`,
    advice: 'Use a newer release of this system',
  },
  {
    words:
      /(lib[\w.+-]+\.so[\w.]*): (file too short|invalid ELF header|wrong ELF class[^\n]*|cannot (?:read|open)[^\n]*)/,
    reason: ([, library, why]) => `the library ${library} cannot be used: ${why}`,
    advice:
      'Install its package again (libsecret: on Debian, Ubuntu apt install --reinstall libsecret-1-0; on Fedora dnf reinstall libsecret)',
  },
  {
    words:
      /keytar\.node: ([^\n]*)|dlopen\(.*?\((mach-o file[^(\n]*\w)|not a valid Win32 application|invalid ELF|wrong ELF class|ERR_DLOPEN/i,
    reason: ([, elf, mach]) => {
      const why = elf ?? mach;
      return `the binary of keytar does not fit this system${why ? `: ${why}` : ''}`;
    },
    advice: REINSTALL,
  },
  {
    words: /Could not connect: Permission denied|The connection is closed/,
    reason: 'the D-Bus session bus is that of another user, or closes at once',
    advice: `Run tsh as the user who is logged in, without sudo; or start a bus of your own: ${START_BUS}`,
  },
  {
    words:
      /autolaunch D-Bus|dbus-launch|DBUS_SESSION_BUS_ADDRESS|address is empty|Address element|Could not connect|Failed to connect to|Error receiving data/i,
    reason: 'there is no D-Bus session bus',
    advice: `Log in at the desktop, or start a bus with a keyring: ${START_BUS}`,
  },
  {
    words:
      /not provided by any \.service|org\.freedesktop\.DBus\.Error\.(ServiceUnknown|NameHasNoOwner)|does not have an owner|activat|StartServiceByName/i,
    reason: 'no Secret Service answers on the D-Bus session bus',
    advice: `Install one such as gnome-keyring or KeePassXC (Debian, Ubuntu: apt install gnome-keyring; Fedora: dnf install gnome-keyring) and start it: ${UNLOCK}`,
  },
  {
    words: /does not exist at path .*\/(?:collection\/login|aliases\/default)\W*$/m,
    reason: 'there is no keyring in it yet',
    advice: `Log in at the desktop, or make one with a password of your choice: ${UNLOCK}`,
  },
  {
    words: /locked|dismissed|cancell?ed|prompt|does not exist at path/i,
    reason: 'it is locked',
    advice: `Unlock it at the desktop, or by its password: ${UNLOCK}`,
  },
  {
    words: /helper process ended with (\S+)/,
    reason: ([, how]) => `it broke off (keytar ended with ${how})`,
    advice: `Look whether it is locked, and unlock it: ${UNLOCK}`,
  },
  {
    words: /no answer within/i,
    reason: 'it does not answer',
    advice: 'Look whether it asks for its password in a window, unlock it and try again',
  },
];

/** @param cause  what was thrown; without secrets, so its own words are shown where nothing better is known */
export function keychainRefusal(what: 'read' | 'written', cause: unknown, platform: NodeJS.Platform): TeleportError {
  const text = messageOf(cause);
  for (const { words, reason, advice } of REASONS) {
    const found = words.exec(text);
    if (found) return refusal(what, typeof reason === 'string' ? reason : reason(found), advice, cause);
  }
  const look =
    platform === 'linux'
      ? 'Look whether a Secret Service is running and unlocked'
      : 'Unlock the keychain and try again';
  return refusal(what, text, look, cause);
}

/** `libsecret-1.so.0` → `libsecret`. */
function nameOf(file: string): string {
  return file.replace(/(-[\d.]+)?\.so.*/, '');
}

function refusal(what: string, reason: string, advice: string, cause: unknown): TeleportError {
  return new TeleportError('AccessDenied', `the system keychain cannot be ${what}: ${reason}`, {
    cause,
    hint: `${advice}. Or keep keys in files: tsh login --credential-store=file`,
  });
}
