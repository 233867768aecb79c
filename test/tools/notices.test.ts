/** `THIRD-PARTY-NOTICES`, which the build writes: whatever is in dist/ or is installed beside it has its licence there. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Metafile {
  outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }>;
}

interface Manifest {
  name: string;
  version: string;
  license: string;
  dependencies?: object;
  optionalDependencies?: object;
}

const manifest = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

describe('X16 third-party notices', () => {
  const text = readFileSync('THIRD-PARTY-NOTICES', 'utf8');
  const { outputs } = JSON.parse(readFileSync('node_modules/.cache/teleshift/metafile.json', 'utf8')) as Metafile;
  const bundled = Object.values(outputs)
    .flatMap(({ inputs }) => Object.keys(inputs).filter((file) => inputs[file]!.bytesInOutput > 0))
    .flatMap((file) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  const { dependencies, optionalDependencies } = manifest('.');
  const installed = Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => `node_modules/${name}`);

  test.each([...new Set([...bundled, ...installed])].sort())('hold the licence of %s', (folder) => {
    const { name, version, license } = manifest(folder);
    const section = text.split(/^={100}$/m).find((one) => one.includes(`\n${name} ${version} (`));
    expect(section).toBeDefined();
    const own = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file));
    for (const file of own)
      expect(section).toContain(readFileSync(join(folder, file), 'utf8').replace(/\r/g, '').trim());
    if (own.length > 0) return;
    expect(license).toContain('Apache-2.0');
    expect(section).toContain('TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION');
    if (license.includes('BSD-3-Clause')) expect(section).toContain('Redistributions in binary form must reproduce');
  });

  test('name nothing that is never used: cli-table3 colours nothing here', () => {
    expect(bundled).toContain('node_modules/cli-table3');
    expect(bundled.filter((folder) => folder.includes('@colors'))).toEqual([]);
  });

  test('are a file of the package, with the licence of the package itself', () => {
    expect(JSON.parse(readFileSync('package.json', 'utf8')).files).toContain('THIRD-PARTY-NOTICES');
    expect(bundled.length).toBeGreaterThan(100);
  });

  test.each([
    ['MIT', 'half (MIT) comes without the text of its licence'],
    ['(Apache-2.0 OR MIT)', 'half ((Apache-2.0 OR MIT)) comes without the text of its licence'],
    ['(Apache-2.0 AND BSD-3-Clause)', 'half ((Apache-2.0 AND BSD-3-Clause)) comes without the text of its licence'],
    [undefined, 'half (none) comes without the text of its licence'],
  ])('a package of licence %s without its text ends the build', (license, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'notices-'));
    try {
      mkdirSync(join(folder, 'node_modules/half'), { recursive: true });
      writeFileSync(
        join(folder, 'node_modules/half/package.json'),
        JSON.stringify({ name: 'half', version: '1.0.0', license }),
      );
      writeFileSync(join(folder, 'node_modules/half/a.js'), 'export const a = 1;\n');
      const half = join(folder, 'node_modules/half');
      const script = `import { licenceOf } from ${JSON.stringify(resolve('test/tools/notices.mjs'))};
        licenceOf(${JSON.stringify(half)}, [${JSON.stringify(join(half, 'a.js'))}]);`;
      const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([1, expect.stringContaining(expected)]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
