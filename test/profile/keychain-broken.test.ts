/**
 * The built `tsh` where keytar cannot be loaded: installed in a folder of its own, with keytar as it is elsewhere. The
 * system's loader says what is wrong, and `tsh` says that.
 * Tests: src/profile/keychain-child.ts, src/profile/keychain-process.ts
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { missingForKeytar } from '../support/secret-service.js';

const onLinux = process.platform === 'linux' ? test : test.skip;
/** Where libsecret is missing for real, the loader says so before anything else. */
const withKeytar = missingForKeytar() ? test.skip : test;
const KEYTAR = 'node_modules/keytar';
const SYSTEM = `${process.platform}-${process.arch}`;
const PLACES = ['build/Release', `prebuilds/${SYSTEM}`].map((place) => `${KEYTAR}/${place}/keytar.node`);
const BINARY = `${KEYTAR}/prebuilds/${SYSTEM}/keytar.node`;
const SAID = 'the system keychain cannot be written: ';
const FILES = 'tsh login --credential-store=file';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'broken-keytar-'));
  cpSync('dist', join(dir, 'dist'), { recursive: true });
  cpSync('package.json', join(dir, 'package.json'));
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => rmSync(join(dir, 'node_modules'), { recursive: true, force: true }));

/** keytar with other binaries; undefined leaves one out. */
function install(...binaries: (Buffer | undefined)[]): void {
  for (const part of ['package.json', 'lib']) cpSync(join(KEYTAR, part), join(dir, KEYTAR, part), { recursive: true });
  for (const [i, binary] of binaries.entries()) {
    const path = join(dir, PLACES[i]!);
    mkdirSync(dirname(path), { recursive: true });
    if (binary) writeFileSync(path, binary);
  }
}

function needing(library: string, other: string): Buffer {
  const binary = readFileSync(BINARY);
  const at = binary.indexOf(`${library}\0`);
  expect(at).toBeGreaterThan(0);
  expect(other).toHaveLength(library.length);
  binary.write(other, at);
  return binary;
}

async function login(vars: Record<string, string> = {}): Promise<string> {
  const args = [
    join(dir, 'dist/tsh.js'),
    'login',
    '--proxy=localhost:1',
    '--user=alice',
    '--credential-store=keychain',
  ];
  const home = mkdtempSync(join(dir, 'home-'));
  const env = { PATH: process.env.PATH, HOME: home, TELEPORT_GLOBAL_TSH_CONFIG: join(dir, 'none'), ...vars };
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { env, timeout: 100_000 }, (error, out, err) => {
      expect(error?.code).toBe(1);
      resolve(out + err);
    });
  });
  expect(readdirSync(home)).toEqual(['.cache']);
  expect(said).toContain(FILES);
  expect(said).not.toContain('localhost:1');
  return said;
}

describe('N3 a keytar that does not load is explained by the loader of the system', () => {
  onLinux('a library that is missing: its name, and how to install it', async () => {
    install(needing('libsecret-1.so.0', 'libsecret-9.so.9'));
    const said = await login();
    expect(said).toContain(`${SAID}the library libsecret is missing (libsecret-9.so.9)`);
    expect(said).toContain('apt install libsecret-1-0');
    expect(said).not.toContain('Secret Service');
  });

  withKeytar('a library of that library, when it is that one', async () => {
    install(needing('libglib-2.0.so.0', 'libglib-2.0.so.9'));
    expect(await login()).toContain(`${SAID}the library libglib is missing (libglib-2.0.so.9)`);
  });

  withKeytar('a library that is broken', async () => {
    install(readFileSync(BINARY));
    const libraries = join(dir, 'libraries');
    mkdirSync(libraries);
    writeFileSync(join(libraries, 'libsecret-1.so.0'), 'no library');
    expect(await login({ LD_LIBRARY_PATH: libraries })).toContain(
      `${SAID}the library libsecret-1.so.0 cannot be used: file too short`,
    );
  });

  onLinux('a copy for another system beside the right one does not hide what that one lacks', async () => {
    install(Buffer.from('no binary'), needing('libsecret-1.so.0', 'libsecret-9.so.9'));
    expect(await login()).toContain('libsecret-9.so.9');
  });

  test('keytar that was left out', async () => {
    const said = await login();
    expect(said).toContain(`${SAID}keytar is not installed`);
    expect(said).toContain('--omit=optional');
  });
});

describe('S11 a keychain whose program does not fit', () => {
  test('no binary for this system', async () => {
    install();
    expect(await login()).toContain(`${SAID}keytar has no binary for ${SYSTEM}`);
  });

  const other = (system: string) => readFileSync(`${KEYTAR}/prebuilds/${system}/keytar.node`);
  onLinux.each<[string, () => Buffer, string]>([
    ['of another system', () => other('darwin-arm64'), 'does not fit this system: invalid ELF header'],
    [
      'of another processor',
      () => other(process.arch === 'x64' ? 'linux-arm64' : 'linux-x64'),
      'does not fit this system: it is for another processor',
    ],
    ['of 32 bits', () => other('linux-ia32'), 'does not fit this system: wrong ELF class: ELFCLASS32'],
    [
      'of another C library',
      () => other(`linuxmusl-${process.arch}`),
      'is for another kind of Linux: it needs libc.musl-',
    ],
    ['that was cut', () => readFileSync(BINARY).subarray(0, 100), 'does not fit this system: '],
    ['that is empty', () => Buffer.alloc(0), 'does not fit this system: file too short'],
  ])('a binary %s', async (_what, binary, text) => {
    install(binary());
    const said = await login();
    expect(said).toContain(SAID);
    expect(said).toContain(text);
    expect(said).not.toContain('libsecret');
  });

  withKeytar('a binary for a newer system', async () => {
    install(needing('GLIBC_2.14', 'GLIBC_2.99'));
    expect(await login()).toContain(`${SAID}the binary of keytar needs a newer system: GLIBC_2.99`);
  });
});
