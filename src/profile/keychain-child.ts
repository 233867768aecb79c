/**
 * The child process that holds keytar: a question comes in, keytar is asked, the answer goes out. It ends with its
 * parent, by a signal, because a thread that waits for a keychain keeps a process from ending in any other way.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KeytarAnswer, KeytarModule, Question } from './keytar.js';

const loading = load();
loading.catch(() => {}); // told with the first answer

process.on('message', (question: Question) => void answer(question));
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

async function answer({ id, call, args }: Question): Promise<void> {
  const reply = (answer: KeytarAnswer) => process.connected && process.send?.(answer);
  try {
    const keytar = (await loading) as unknown as Record<string, (...args: string[]) => Promise<unknown>>;
    reply({ id, value: (await keytar[call]!(...args)) ?? null });
  } catch (error) {
    reply({ id, error: textOf(error) });
  }
}

async function load(): Promise<KeytarModule> {
  try {
    const loaded = (await import('keytar')) as unknown as { default?: KeytarModule } & KeytarModule;
    return loaded.default ?? loaded;
  } catch (error) {
    throw new Error(whyNotLoaded() ?? textOf(error));
  }
}

/** keytar tries each of its binaries and keeps to itself why none could be loaded: so the system's loader is asked again. */
function whyNotLoaded(): string | undefined {
  let folder: string;
  try {
    folder = dirname(dirname(createRequire(import.meta.url).resolve('keytar')));
  } catch {
    return undefined; // the package itself is missing: the first text says so
  }
  const system = `${process.platform}-${process.arch}`;
  const files = ['build/Release', `prebuilds/${system}`].map((place) => join(folder, place, 'keytar.node'));
  const reasons = files.filter((file) => existsSync(file)).map(loadError);
  // A copy for another system may lie beside the right one: what that one lacks is what is to be mended.
  return reasons.find((text) => !text.includes('keytar.node')) ?? reasons[0] ?? `keytar has no binary for ${system}`;
}

function loadError(file: string): string {
  try {
    process.dlopen({ exports: {} }, file);
    return `${file}: it is loaded now`;
  } catch (error) {
    // What glibc says of a binary for another processor.
    return textOf(error).replace(
      `${file}: cannot open shared object file: No such file or directory`,
      `${file}: it is for another processor`,
    );
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
