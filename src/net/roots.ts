/**
 * Whom a TLS client of the public web trusts: the store of the system, as curl and Go programs read it. Where there is no
 * store (a bare container), and on systems whose store is not made of files, Node's built-in roots.
 *
 * | | Linux | macOS, Windows, others |
 * |---|---|---|
 * | file | SSL_CERT_FILE, else the first of `FILES` that can be read | SSL_CERT_FILE |
 * | folders | SSL_CERT_DIR, else `FOLDERS` | SSL_CERT_DIR |
 * | the system's programs | | `tls.getCACertificates('system')` where Node has it |
 * | Node's built-in roots | only where the machine has no store | always |
 * | NODE_EXTRA_CA_CERTS | always | always |
 *
 * Read when the first connection asks, once for each process; files that have changed are seen within `CHECK_EVERY_MS`.
 * Source: Go 1.24 crypto/x509, root_unix.go and root_linux.go. Why: docs/rfd/0004.
 */
import { createHash, X509Certificate } from 'node:crypto';
import {
  closeSync,
  constants,
  type Dirent,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import * as tls from 'node:tls';
import { TeleportError } from '../errors.js';
import { certificatesAmong, isCertificate, readCertificateFile } from '../pki/certificate-file.js';
import { MAX_PEM_CHARS } from '../pki/pem.js';

type Vars = Record<string, string | undefined>;

/** The first that can be read counts. Debian, Fedora, openSUSE, OpenELEC, RHEL 7, Alpine. Source: Go's root_linux.go. */
const FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
/** All of them count, besides the file. Source: Go's root_linux.go. */
const FOLDERS = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

/** A folder of roots holds about 150 files; beyond this it is another folder. Our own limit. */
const MOST_FILES = 4096;
/** A rotated authority counts after this long. Our own choice: looking takes about a millisecond. */
const CHECK_EVERY_MS = 30_000;

export interface WebRoots {
  /** PEM, one certificate each; none twice. */
  pems: readonly string[];
  /** The same for the same certificates. */
  id: string;
}

export interface RootsOptions {
  platform?: NodeJS.Platform;
  /** Put before the system's paths. */
  root?: string;
  checkEveryMs?: number;
}

/** A reader that keeps what it read until the files change. */
export function webRootsReader(options: RootsOptions = {}): (vars: Vars) => WebRoots {
  const { checkEveryMs = CHECK_EVERY_MS } = options;
  const known = new Map<string, { roots: WebRoots; seen: Seen; checkedAt: number }>();
  return (vars) => {
    const key = VARIABLES.map((name) => vars[name] ?? '').join('\0');
    const kept = known.get(key);
    if (kept) {
      if (performance.now() - kept.checkedAt < checkEveryMs) return kept.roots;
      kept.checkedAt = performance.now();
      if (!hasChanged(kept.seen)) return kept.roots;
    }
    try {
      const seen: Seen = { stamps: new Map(), entries: [], readAt: Date.now() };
      const read = readRoots(vars, options, seen);
      const roots = read.id === kept?.roots.id ? kept.roots : read;
      known.set(key, { roots, seen, checkedAt: performance.now() });
      return roots;
    } catch (error) {
      if (kept) return kept.roots; // somebody is writing: what was good stays
      throw error;
    }
  };
}

/**
 * The authorities of the web in this environment.
 *
 * @throws TeleportError `BadParameter` when SSL_CERT_FILE or SSL_CERT_DIR names what holds no certificate
 */
export const webRoots = webRootsReader();

/** The roots of Amazon Trust Services, which sign the certificates of Redshift and RDS endpoints. PEM texts. */
export function amazonRoots(): string[] {
  return tls.rootCertificates.filter((pem) => {
    // OpenSSL is slow; only these few are shown to it.
    const der = Buffer.from(pem.slice(pem.indexOf('\n'), pem.lastIndexOf('\n')), 'base64').toString('latin1');
    return /Amazon|Starfield/.test(der) && AMAZON.test(new X509Certificate(pem).subject);
  });
}

const AMAZON = /\b(O=Amazon|Starfield Services)\b/;
const VARIABLES = ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'] as const;

/** What was looked at, and how it was then. */
interface Seen {
  stamps: Map<string, string>;
  /** Files in folders: not looked at twice by a command that ends soon, but by their times of change when asked. */
  entries: string[];
  /** By the clock of the files. */
  readAt: number;
}

/** Times of change come from a clock that ticks slowly. */
const TICK_MS = 50;

function readRoots(vars: Vars, { platform = process.platform, root = '' }: RootsOptions, seen: Seen): WebRoots {
  const file = vars.SSL_CERT_FILE || undefined;
  const folders = (vars.SSL_CERT_DIR ?? '').split(platform === 'win32' ? ';' : ':').filter((one) => one !== '');
  const pems = new Set<string>();
  if (file) add(pems, namedFile(file, seen));
  for (const folder of folders) add(pems, folderIfThere(folder, seen).filter(isCertificate));
  if (folders.length > 0 && pems.size === 0) {
    throw new TeleportError('BadParameter', `SSL_CERT_DIR: there is no certificate in ${folders.join(' or ')}`, {
      hint: 'Name folders of PEM files, with a colon between them, or unset the variable.',
    });
  }
  const store = platform === 'linux' ? linuxStore(root, seen) : undefined;
  if (store && !file) add(pems, store.bundle());
  if (store && folders.length === 0) add(pems, store.folders());
  if (!store) add(pems, [...tls.rootCertificates, ...systemCertificates()].map(inOneForm));
  // What the variables do not replace is there on every machine.
  else if (!(file && folders.length > 0) && store.isEmpty()) add(pems, tls.rootCertificates.map(inOneForm));
  // Node adds them to its own roots only; it warns of a file that it cannot use.
  if (vars.NODE_EXTRA_CA_CERTS) add(pems, fileIfThere(vars.NODE_EXTRA_CA_CERTS, seen) ?? []);
  const all = [...pems].filter(isCertificate);
  return { pems: all, id: createHash('sha256').update(all.join('')).digest('base64') };
}

/** The parts of the system's store, each read when asked for, and once. */
function linuxStore(root: string, seen: Seen) {
  const bundle = once(() => {
    let found: string[] | undefined;
    for (const path of FILES) found ??= fileIfThere(root + path, seen);
    return found ?? [];
  });
  const folders = once(() => FOLDERS.flatMap((path) => folderIfThere(root + path, seen)));
  return { bundle, folders, isEmpty: () => bundle().length === 0 && folders().length === 0 };
}

function once<T>(read: () => T): () => T {
  let result: T | undefined;
  return () => {
    result ??= read();
    return result;
  };
}

function add(pems: Set<string>, more: readonly string[]): void {
  for (const pem of more) pems.add(pem);
}

/** As `certificatesAmong` writes them. */
function inOneForm(pem: string): string {
  return `${pem.trim()}\n`;
}

function namedFile(path: string, seen: Seen): string[] {
  look(path, seen);
  return readCertificateFile(path, 'SSL_CERT_FILE', 'Or unset it to trust the authorities of this system.');
}

/** Undefined when it cannot be read. */
function fileIfThere(path: string, seen: Seen): string[] | undefined {
  look(path, seen);
  return read(path);
}

/** One buffer for all files of a store: some 150 of them are read one after the other. */
let buffer: Buffer | undefined;

function read(path: string): string[] | undefined {
  buffer ??= Buffer.allocUnsafeSlow(MAX_PEM_CHARS);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe in a folder is not waited for
    const length = readSync(fd, buffer);
    return length === buffer.length ? undefined : certificatesAmong(buffer.toString('latin1', 0, length));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Every file in it that is not only another name of its neighbour, as `openssl rehash` makes them. */
function folderIfThere(folder: string, seen: Seen): string[] {
  look(folder, seen);
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true }).slice(0, MOST_FILES);
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() || (entry.isSymbolicLink() && !targetOf(path).includes('/'))) return [];
    seen.entries.push(path);
    return read(path) ?? [];
  });
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

function look(path: string, seen: Seen): void {
  seen.stamps.set(path, stampOf(statOf(path)));
}

function hasChanged({ stamps, entries, readAt }: Seen): boolean {
  const isNewer = (path: string) => (statOf(path)?.ctimeMs ?? 0) > readAt - TICK_MS;
  return [...stamps].some(([path, stamp]) => stampOf(statOf(path)) !== stamp) || entries.some(isNewer);
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function stampOf(stats: Stats | undefined): string {
  return stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : 'absent';
}

/** What the system's own programs trust; Node has it from 22.15, 23.10 and 24 on. */
function systemCertificates(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'system') => string[] };
  return getCACertificates?.('system') ?? [];
}
