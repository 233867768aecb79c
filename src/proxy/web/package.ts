/**
 * This program as a package that npm installs, made of its own files: who installs from a Proxy has what the Proxy has, and asks no
 * registry under whose name somebody else could publish.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { sha256 } from '../../sha256.js';

export interface InstallablePackage {
  /** Name of the file. */
  name: string;
  bytes: Buffer;
  /** Hexadecimal digits. */
  sha256: string;
  /** The oldest Node that it is for: `20.10`. */
  oldestNode: string;
}

let packed: Promise<InstallablePackage> | undefined;

/** Made when somebody asks for it first. */
export function installablePackage(): Promise<InstallablePackage> {
  packed ??= pack().catch((error: unknown) => {
    packed = undefined;
    throw error;
  });
  return packed;
}

async function pack(): Promise<InstallablePackage> {
  const { create } = await import('./tar/create.js');
  // A file that lies in `dist` of every installation and of every checkout that was built.
  const folder = dirname(dirname(createRequire(import.meta.url).resolve('#keychain-child')));
  const { name, version, files, engines } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as {
    name: string;
    version: string;
    files: string[];
    engines: { node: string };
  };
  const chunks: Buffer[] = [];
  const archive = create({ cwd: folder, prefix: 'package', gzip: true, portable: true, noMtime: true }, [
    'package.json',
    'LICENSE',
    ...files,
  ]);
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return {
    name: `${name}-${version}.tgz`,
    bytes,
    sha256: sha256(bytes),
    oldestNode: engines.node.replace(/^>=/, ''),
  };
}
