/** `npm run proto` was run after the last change of `src/api/proto`: buf, here without a network, writes what is committed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

test('H12 the generated code of src/api/gen is what src/api/proto makes', () => {
  const out = mkdtempSync(join(tmpdir(), 'proto-'));
  try {
    const bin = resolve('node_modules/.bin');
    const [command, ...args] = JSON.parse(readFileSync('package.json', 'utf8')).scripts.proto.split(' ') as string[];
    const { status, stderr } = spawnSync(join(bin, command!), [...args, '-o', out], {
      encoding: 'utf8',
      timeout: 110_000,
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, XDG_CACHE_HOME: join(out, 'cache') },
    });
    expect([status, stderr]).toEqual([0, '']);
    const filesOf = (folder: string) =>
      Object.fromEntries(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map(({ parentPath, name }) => join(parentPath, name))
          .map((file) => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]),
      );
    const [made, kept] = [filesOf(join(out, 'src/api/gen')), filesOf('src/api/gen')];
    expect(Object.keys(kept).sort()).toEqual(Object.keys(made).sort());
    // The files are long: only the names of those that differ.
    expect(Object.keys(made).filter((file) => made[file] !== kept[file])).toEqual([]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
