/**
 * `~/.pg_service.conf`, the service file of libpq, which belongs to the person: our section is put at the end or taken
 * out, all other sections and comments survive. Spec: login-and-profile reference, 8.2.
 */
import { readIfThere, withLock, writeWhole } from './lock.js';
import { SERVICE_FILE_MODE } from './paths.js';

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

/** `CLUSTER-DATABASE`: the word after `service=`. */
export function pgServiceName(cluster: string, database: string): string {
  return `${cluster}-${database}`;
}

/** Write or replace a section; it becomes the last one. */
export async function putPgService(path: string, name: string, service: PgService): Promise<void> {
  await rewrite(path, (sections) => [...sections.filter((section) => section.name !== name), ours(name, service)]);
}

/** Remove sections; names that are not there are no error, and then the file is not touched. */
export async function deletePgServices(path: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await rewrite(path, (sections) => sections.filter(({ name }) => name === undefined || !names.includes(name)));
}

/** The values of a section by key, or undefined when there is no such section. */
export async function readPgService(path: string, name: string): Promise<Record<string, string> | undefined> {
  const section = parse((await readIfThere(path)) ?? '').find((one) => one.name === name);
  if (section === undefined) return undefined;
  return Object.fromEntries(
    section.lines.flatMap((line) => {
      const at = line.indexOf('=');
      return isComment(line) || at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}

/** Lines under a `[name]`; comments above the header belong to it. `name` is undefined for what has no header. */
interface Section {
  name: string | undefined;
  comments: string[];
  lines: string[];
}

function ours(name: string, service: PgService): Section {
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
  const lines = pairs.flatMap(([key, value]) => (value ? [`${key}=${String(value).replace(/[\r\n]+/g, ' ')}`] : []));
  return { name, comments: [], lines };
}

async function rewrite(path: string, change: (sections: Section[]) => Section[]): Promise<void> {
  await withLock(`${path}.lock`, async () => {
    const before = await readIfThere(path);
    const sections = parse(before ?? '');
    const after = change(sections);
    if (after.length === sections.length && after.every((section, i) => section === sections[i])) return;
    await writeWhole(path, text(after), SERVICE_FILE_MODE, { keepMode: true });
  });
}

function parse(content: string): Section[] {
  const sections: Section[] = [];
  let comments: string[] = [];
  for (const raw of content.split(/\r?\n/)) {
    const line = raw.trim();
    const header = /^\[(.*)\]$/.exec(line);
    if (header) {
      sections.push({ name: header[1]!, comments, lines: [] });
      comments = [];
    } else if (line === '') {
      // A comment block that an empty line cuts off stays where it stands.
      if (comments.length > 0) sectionFor(sections).lines.push(...comments.splice(0));
    } else if (isComment(line)) comments.push(line);
    else sectionFor(sections).lines.push(...comments.splice(0), line.replace(/^([^=]*?)\s*=\s*/, '$1='));
  }
  if (comments.length > 0) sectionFor(sections).lines.push(...comments);
  return sections;
}

function sectionFor(sections: Section[]): Section {
  const last = sections.at(-1);
  if (last) return last;
  const first: Section = { name: undefined, comments: [], lines: [] };
  sections.push(first);
  return first;
}

function text(sections: Section[]): string {
  return sections
    .map(({ name, comments, lines }) =>
      [...comments, ...(name === undefined ? [] : [`[${name}]`]), ...lines, ''].join('\n'),
    )
    .join('\n');
}

function isComment(line: string): boolean {
  return line.startsWith('#') || line.startsWith(';');
}
