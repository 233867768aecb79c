// THIRD-PARTY-NOTICES of the package: every package of which a part is in dist/ and every one that npm installs beside it,
// with its licence. Written by the build, from what esbuild put into the bundles; a package without a licence ends the build.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const INTRODUCTION = `Third-party notices

teleshift contains parts of the packages listed here as "bundled", and npm installs those listed as "installed" beside it
(the builds of such a package for one kind of machine have the licence of the package). Each list of packages is followed
by their licence.
`;
const LINE = '='.repeat(100);
const LICENCE_FILES = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** The folders of the packages that an esbuild metafile has in its outputs → the files of each that are there. */
export function bundledPackages({ outputs }) {
  const found = new Map();
  for (const { inputs } of Object.values(outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const [folder] = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file) ?? [];
      if (folder !== undefined && bytesInOutput > 0) found.set(folder, [...(found.get(folder) ?? []), file]);
    }
  }
  return found;
}

/** The folders of what `npm install` of this package brings, without the builds for one kind of machine. */
export function installedPackages() {
  const found = new Set();
  const walk = (from, names) => {
    for (const name of names) {
      let at = from;
      while (at !== '' && !existsSync(join(at, 'node_modules', name))) at = dirname(at).replace(/^\.$/, '');
      const folder = join(at, 'node_modules', name);
      // An optional one need not be there.
      if (found.has(folder) || !existsSync(folder)) continue;
      found.add(folder);
      walk(folder, Object.keys(manifest(folder).dependencies ?? {}));
    }
  };
  const { dependencies, optionalDependencies } = manifest('.');
  walk('', Object.keys({ ...dependencies, ...optionalDependencies }));
  return [...found];
}

/**
 * @param bundled    as `bundledPackages` found them
 * @param installed  folders
 * @returns the whole file; packages with the same licence text share it
 */
export function notices(bundled, installed) {
  const byText = new Map();
  const add = (folder, text, how) => {
    const { name, version, license } = manifest(folder);
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${license.replace(/[()]/g, '')}), ${how}`]);
  };
  for (const [folder, files] of bundled) add(folder, licenceOf(folder, files), 'bundled');
  for (const folder of installed) if (!bundled.has(folder)) add(folder, licenceOf(folder, []), 'installed');
  const sections = [...byText].map(([text, packages]) => `${packages.sort().join('\n')}\n\n${text}\n`);
  return `${[INTRODUCTION, ...sections.sort()].join(`\n${LINE}\n\n`)}`;
}

/**
 * What the package's own licence and notice files say. Some packages under the Apache License come without it: it stands
 * here, after what the heads of their bundled files say about who wrote them and on which other terms.
 */
export function licenceOf(folder, files) {
  const own = readdirSync(folder)
    .filter((name) => LICENCE_FILES.test(name))
    .sort()
    .map((name) => clean(readFileSync(join(folder, name), 'utf8')));
  if (own.length > 0) return own.join('\n\n');
  const { name, license = 'none' } = manifest(folder);
  const heads = [...new Set(files.map(headOf).filter((head) => /copyright/i.test(head)))];
  const others = license
    .replace(/[()]/g, '')
    .split(' AND ')
    .filter((one) => one !== 'Apache-2.0');
  const otherTerms = heads.filter((head) => !head.includes('Apache License'));
  if (!license.includes('Apache-2.0') || license.includes(' OR ') || otherTerms.length < others.length) {
    throw new Error(`${name} (${license}) comes without the text of its licence`);
  }
  return [...heads, clean(readFileSync('LICENSE', 'utf8'))].join('\n\n');
}

/** The `//` lines that a file begins with. */
function headOf(file) {
  const [head] = /^(\/\/.*\r?\n)*/.exec(readFileSync(file, 'utf8'));
  return clean(head.replace(/^\/\/ ?/gm, ''));
}

function clean(text) {
  return text.replace(/\r\n/g, '\n').trimEnd().replace(/^\n+/, '');
}

function manifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}
