/**
 * The child process that holds keytar: a question comes in, keytar is asked, the answer goes out. It ends with its
 * parent, by a signal, because a thread that waits for a keychain keeps a process from ending in any other way.
 */
import type { KeytarModule } from './keychain.js';

export interface Question {
  id: number;
  call: keyof KeytarModule;
  args: string[];
}

export interface Answer {
  id: number;
  value?: unknown;
  /** Text of what was thrown. */
  error?: string;
}

const loading = import('keytar') as unknown as Promise<{ default?: KeytarModule } & KeytarModule>;
loading.catch(() => {}); // told with the first answer

process.on('message', (question: Question) => void answer(question));
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

async function answer({ id, call, args }: Question): Promise<void> {
  const reply = (answer: Answer) => process.connected && process.send?.(answer);
  try {
    const loaded = await loading;
    const keytar = (loaded.default ?? loaded) as unknown as Record<string, (...args: string[]) => Promise<unknown>>;
    reply({ id, value: (await keytar[call]!(...args)) ?? null });
  } catch (error) {
    reply({ id, error: error instanceof Error ? error.message : String(error) });
  }
}
