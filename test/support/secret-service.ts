/**
 * A real Secret Service (gnome-keyring) on a D-Bus session bus of its own, in a folder of its own. Nothing of the person's
 * session is touched: the bus starts no services, the keyring is new and its password known.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Keychain, openKeychain } from '../../src/profile/keychain.js';

export interface Bus {
  /** What a program needs to find it, and no other. */
  vars: Record<string, string>;
  stop(): Promise<void>;
}

export interface SecretService extends Bus {
  /** Entries of our service, as another program sees them. */
  keychain: Keychain;
  /** The keyring as after a new start of the machine; there is no window that could ask for its password. */
  lock(): Promise<void>;
  unlock(): Promise<void>;
}

const NEEDED = ['dbus-daemon', 'gnome-keyring-daemon'];
/** Of the keyring. */
export const PASSWORD = 'password of the keyring';
const START_TIMEOUT_MS = 60_000;

function missingForSecretService(): string | undefined {
  return missingForKeytar() ?? NEEDED.find((program) => spawnSync(program, ['--version']).error !== undefined);
}

/** What is missing for a client that talks to a bus; on other systems keytar would ask the person's own keychain. */
export function missingForKeytar(): string | undefined {
  if (process.platform !== 'linux') return 'Linux';
  return spawnSync(process.execPath, ['-e', "require('keytar')"]).status === 0 ? undefined : 'keytar with libsecret';
}

/** Undefined where a Secret Service can be started. */
export const withoutService = missingForSecretService();

/** A test that needs a Secret Service; where there is none it is skipped and says why, unless KEYRING_TESTS=required. */
export function withService(title: string, work: () => Promise<void>): void {
  if (withoutService === undefined) test(title, work);
  else if (process.env.KEYRING_TESTS === 'required') throw new Error(`this machine has no ${withoutService}`);
  else test.skip(`${title} (skipped: this machine has no ${withoutService})`, work);
}

/** A bus on which nobody keeps secrets. */
export async function startBus(): Promise<Bus> {
  const dir = await mkdtemp(join(tmpdir(), 'bus-'));
  const socket = join(dir, 'bus');
  const config = join(dir, 'bus.conf');
  // No <servicedir>: the bus must not start a keyring, or anything else, by itself.
  await writeFile(
    config,
    `<busconfig><type>session</type><listen>unix:path=${socket}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
  );
  const daemon = startDaemon(['dbus-daemon', `--config-file=${config}`, '--nofork', '--print-address=1']);
  await once(createInterface(daemon.stdout!), 'line', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  const home = join(dir, 'home');
  await mkdir(home, { mode: 0o700 });
  return {
    vars: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${socket}`, XDG_RUNTIME_DIR: dir, XDG_DATA_HOME: join(home, 'data') },
    async stop() {
      await ended(daemon);
      await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** With a keyring that is unlocked; `isNew`: that nobody has set up. */
export async function startSecretService(options: { isNew?: boolean } = {}): Promise<SecretService> {
  const bus = await startBus();
  const keychain = openKeychain({ vars: { PATH: process.env.PATH, ...bus.vars } });
  let daemon = await startKeyring(bus, keychain, options.isNew ? undefined : PASSWORD).catch(async (error: unknown) => {
    await bus.stop();
    throw error;
  });
  return {
    vars: bus.vars,
    keychain,
    async lock() {
      await ended(daemon);
      daemon = await startKeyring(bus, keychain);
    },
    async unlock() {
      await ended(daemon);
      daemon = await startKeyring(bus, keychain, PASSWORD);
    },
    async stop() {
      await ended(daemon);
      await bus.stop();
    },
  };
}

async function startKeyring(bus: Bus, keychain: Keychain, password?: string): Promise<ChildProcess> {
  const dir = bus.vars.XDG_RUNTIME_DIR!;
  const unlock = password === undefined ? [] : ['--unlock'];
  const daemon = startDaemon(
    [
      'gnome-keyring-daemon',
      '--foreground',
      '--components=secrets',
      `--control-directory=${join(dir, 'control')}`,
      ...unlock,
    ],
    { env: { PATH: process.env.PATH, HOME: join(dir, 'home'), ...bus.vars }, input: password },
  );
  const deadline = Date.now() + START_TIMEOUT_MS;
  let why: unknown = 'asked';
  while (why !== undefined) {
    if (Date.now() > deadline) {
      await ended(daemon);
      throw new Error('gnome-keyring-daemon does not answer', { cause: why });
    }
    // One that is locked answers this and nothing else.
    why = await keychain.get('none').then(
      () => undefined,
      (error: Error) => error.cause,
    );
  }
  return daemon;
}

/**
 * A daemon that ends when its standard input does: with `ended`, and also when this process is killed.
 *
 * @param options.input  what the daemon itself reads
 */
function startDaemon(
  command: string[],
  options: { env?: NodeJS.ProcessEnv; input?: string | undefined } = {},
): ChildProcess {
  const { env = process.env, input } = options;
  const feed = input === undefined ? '' : `printf %s '${input}' | `;
  const script = `${feed}"$@" & child=$!; cat >/dev/null; kill "$child" 2>/dev/null; wait "$child"`;
  return spawn('sh', ['-c', script, 'sh', ...command], { env, stdio: ['pipe', 'pipe', 'ignore'] });
}

async function ended(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exit = once(daemon, 'exit');
  daemon.stdin!.end();
  await exit;
}
