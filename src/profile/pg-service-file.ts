/**
 * The service file of libpq, which belongs to the person: sections of ours are put in or taken out, every other byte stays
 * what it is, whatever its encoding and line ends. Taking out what was put in gives the file back as it was, and a file
 * that we made goes with our last section.
 *
 *     their bytes ── one line end ── [CLUSTER-DATABASE] and its settings ── their bytes
 *
 * Spec: login-and-profile.md 8.2; PostgreSQL manual, "The Connection Service File"; libpq's `parseServiceFile`.
 */
import { constants } from 'node:fs';
import { access, readFile, stat, unlink } from 'node:fs/promises';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { withLock } from '../lock.js';
import { SERVICE_FILE_MODE } from './paths.js';
import { throughLinks, writeWhole } from './whole-file.js';

/** What one section says; absent user and name stay out of the file. */
export interface PgService {
  host: string;
  port: number;
  user?: string | undefined;
  dbName?: string | undefined;
  sslMode: 'verify-full' | 'verify-ca';
  sslRootCert: string;
  sslCert?: string;
  sslKey?: string;
  /** Password file of libpq. */
  passFile?: string | undefined;
}

type Warn = (text: string) => void;

/** Every key that a section of ours may have. */
const OUR_KEYS: ReadonlySet<string> = new Set([
  ...['host', 'port', 'user', 'dbname', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'passfile', 'gssencmode'],
]);

/** `CLUSTER-DATABASE`: the word after `service=`. */
export function pgServiceName(cluster: string, database: string): string {
  return `${cluster}-${database}`;
}

/**
 * Write or replace a section of ours. What stands in the way (a section of that name that is not ours, a file that cannot
 * be written) is a warning: nothing but `psql service=…` needs that file.
 */
export async function putPgService(path: string, name: string, service: PgService, warn: Warn): Promise<void> {
  try {
    const isWritten = await change(path, (before) => withSection(before, name, service));
    if (isWritten) return;
    warn(
      `${path} has a section [${name}] that tsh did not write: it stays as it is, and "psql service=${name}" follows it. Rename it and log in again to have one of tsh.`,
    );
  } catch (error) {
    warn(`"psql service=${name}" will not find the database: ${reason(error)}. tsh itself does not need that file.`);
  }
}

/** Remove sections of ours by name. Files and names that are not there are no error; what goes wrong is a warning. */
export async function deletePgServices(paths: readonly string[], names: readonly string[], warn: Warn): Promise<void> {
  await remove(paths, ({ header }) => names.some((name) => isNamed(header, bytes(name))), warn);
}

/** Remove sections of ours whose certificate or password file is in a folder. What goes wrong is a warning. */
export async function deletePgServicesOf(paths: readonly string[], folder: string, warn: Warn): Promise<void> {
  const start = bytes(`${folder}/`);
  await remove(paths, ({ settings }) => (settings?.sslcert ?? settings?.passfile ?? '').startsWith(start), warn);
}

/** A header and what belongs to it, as places in the list of lines. */
interface Section {
  /** The header without white space around it. */
  header: string;
  at: number;
  /** Lines of settings; comments and empty lines between them belong to the person. */
  settingsAt: number[];
  /** Undefined where it is not ours. */
  settings: Record<string, string> | undefined;
}

async function remove(paths: readonly string[], isMeant: (section: Section) => boolean, warn: Warn): Promise<void> {
  for (const path of paths) {
    try {
      await change(path, (before) => (before === undefined ? before : withoutSections(before, isMeant)));
    } catch (error) {
      warn(`sections of tsh were not removed: ${reason(error)}`);
    }
  }
}

/** What a file that is to be removed becomes. */
const GONE = Symbol('gone');

/**
 * Change the content of a file; nothing is touched where it stays the same.
 *
 * @param edit  from the content, a character a byte, or undefined when there is no file
 * @returns false when `edit` did not want to
 */
async function change(
  path: string,
  edit: (before: string | undefined) => string | typeof GONE | false | undefined,
): Promise<boolean> {
  const target = await throughLinks(path);
  const plan = async () => {
    const before = await read(target);
    const after = edit(before);
    return after === before || after === undefined ? true : after;
  };
  // Looked at first, so that a file which needs no change needs no lock beside it either.
  const first = await plan();
  if (typeof first === 'boolean') return first;
  return await withLock(`${target}.lock`, async () => {
    const after = await plan();
    if (typeof after === 'boolean') return after;
    await assertWritable(target);
    if (after === GONE) await unlink(target);
    else await writeWhole(target, Buffer.from(after, 'latin1'), SERVICE_FILE_MODE, { keepMode: true });
    return true;
  });
}

/** The content with our section in it; false where another has its name, which libpq would find first. */
function withSection(before: string | undefined, name: string, service: PgService): string | false {
  const lines = linesOf(before ?? '');
  const same = sectionsOf(lines).filter(({ header }) => isNamed(header, bytes(name)));
  const end = lineEnd(lines);
  const block = settingLines(name, service).map((line) => line + end);
  const [first, ...others] = same;
  if (first === undefined) return before === undefined ? block.join('') : before + end + block.join('');
  if (first.settings === undefined) return false;
  const old = new Set(
    [first, ...others.filter(({ settings }) => settings)].flatMap((one) => [one.at, ...one.settingsAt]),
  );
  return lines.map((line, at) => (at === first.at ? block.join('') : old.has(at) ? '' : line)).join('');
}

function withoutSections(before: string, isMeant: (section: Section) => boolean): string | typeof GONE {
  let lines = linesOf(before);
  let isOurFile = false;
  for (;;) {
    const section = sectionsOf(lines).find((one) => one.settings && isMeant(one));
    if (section === undefined) return isOurFile && lines.length === 0 ? GONE : lines.join('');
    const gone = new Set([section.at, ...section.settingsAt]);
    const above = lines.slice(0, section.at);
    const below = lines.slice(section.at).filter((_, i) => !gone.has(section.at + i));
    isOurFile = above.length === 0;
    if (isOurFile) {
      // Made by us, and so is the line end before our next section.
      if (isBlank(below[0]) && sectionsOf(below).some(({ at, settings }) => at === 1 && settings)) below.shift();
    } else if (isBlank(above.at(-1)) || below.length === 0 || isBlank(below[0])) {
      // The line end that was put between their bytes and ours. It never joins two lines.
      above.push(withoutEnd(above.pop()!, lineEnd(lines)));
    }
    lines = linesOf([...above, ...below].join(''));
  }
}

function settingLines(name: string, service: PgService): string[] {
  const pairs: [string, string | number | undefined][] = [
    ['host', service.host],
    ['port', service.port],
    ['user', service.user],
    ['dbname', service.dbName],
    ['sslmode', service.sslMode],
    ['sslrootcert', service.sslRootCert],
    ['sslcert', service.sslCert],
    ['sslkey', service.sslKey],
    ['passfile', service.passFile],
    ['gssencmode', 'disable'],
  ];
  // A line break in a value would begin a setting of its own.
  const settings = pairs.flatMap(([key, value]) =>
    value ? [`${key}=${bytes(String(value).replace(/[\r\n]+/g, ' '))}`] : [],
  );
  return [`[${bytes(name)}]`, ...settings];
}

/** Lines with their ends. */
function linesOf(content: string): string[] {
  return content.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Of the whole file: that of a section of ours, which was chosen before it was put in, else that of the first line. */
function lineEnd(lines: readonly string[]): string {
  const ours = sectionsOf(lines).find(({ settings }) => settings);
  const line = ours ? lines[ours.at] : lines.find((one) => one.endsWith('\n'));
  return line?.endsWith('\r\n') ? '\r\n' : '\n';
}

/** A lone carriage return before it is the person's. */
function withoutEnd(line: string, end: string): string {
  return line.endsWith(end) ? line.slice(0, -end.length) : line;
}

function sectionsOf(lines: readonly string[]): Section[] {
  const sections: (Section & { pairs: [string, string][] })[] = [];
  lines.forEach((raw, at) => {
    const line = trimmed(raw);
    const current = sections.at(-1);
    if (line.startsWith('[')) sections.push({ header: line, at, settingsAt: [], settings: undefined, pairs: [] });
    else if (current && line !== '' && !line.startsWith('#') && !line.startsWith(';')) {
      const [key = '', value = ''] = line.split(/=(.*)/s);
      current.settingsAt.push(at);
      current.pairs.push([trimmed(key), trimmed(value)]);
    }
  });
  return sections.map(({ pairs, ...section }) => ({ ...section, settings: ourSettings(pairs) }));
}

/** The settings of a section, when it is one that `tsh` writes, ours or Teleport's: those and no others. */
function ourSettings(pairs: readonly [string, string][]): Record<string, string> | undefined {
  const settings = Object.fromEntries(pairs);
  const { gssencmode, sslmode, sslrootcert, sslcert, sslkey, passfile } = settings;
  const isOurs = pairs.every(([key]) => OUR_KEYS.has(key)) && gssencmode === 'disable' && sslmode && sslrootcert;
  return isOurs && ((sslcert && sslkey) || passfile) ? settings : undefined;
}

/** As libpq compares them. */
function isNamed(header: string, name: string): boolean {
  return header.startsWith(`[${name}]`);
}

function isBlank(line: string | undefined): boolean {
  return line !== undefined && trimmed(line) === '';
}

/** Without C's white space around it: JavaScript's has bytes that are halves of letters here. */
function trimmed(text: string): string {
  return text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
}

/** Text as the file has it: a character a byte. */
function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

async function read(target: string): Promise<string | undefined> {
  try {
    // A device would never end.
    if (!(await stat(target)).isFile()) throw new TeleportError('BadParameter', `${target} is not a file`);
    return await readFile(target, 'latin1');
  } catch (error) {
    const code = nodeCodeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw code === undefined || !/^E[A-Z]+$/.test(code)
      ? error
      : new TeleportError('AccessDenied', `cannot read ${target}: ${code}`, { cause: error });
  }
}

/** A file that its owner has made read-only is not replaced behind his back. */
async function assertWritable(target: string): Promise<void> {
  try {
    await access(target, constants.W_OK);
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return;
    throw new TeleportError('AccessDenied', `cannot write ${target}: ${nodeCodeOf(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  return messageOf(error).replace(/\.$/, '');
}
