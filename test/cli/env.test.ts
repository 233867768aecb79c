import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { jest } from '@jest/globals';
import { processEnv, Signalled } from '../../src/cli/env.js';
import { signalStatus } from '../../src/cli/exit.js';

function fakeProcess() {
  const killed: string[] = [];
  const proc = Object.assign(new EventEmitter(), {
    env: { HOME: '/home/alice' },
    cwd: () => '/',
    platform: 'linux',
    killed,
    kill: (_pid: number, name: string) => killed.push(name),
  });
  return { proc, env: processEnv(proc as unknown as NodeJS.Process) };
}

test('SIGHUP stops a command, but not one that reads its files again', () => {
  const { proc, env } = fakeProcess();
  let calls = 0;
  const held = env.onSignal('SIGHUP', () => {
    calls += 1;
  });
  proc.emit('SIGHUP');
  proc.emit('SIGHUP');
  expect([calls, env.signal.aborted]).toEqual([2, false]);
  held[Symbol.dispose]();
  proc.emit('SIGHUP');
  expect([calls, env.signal.aborted]).toEqual([2, true]);
  expect(env.signal.reason).toEqual(new Signalled('SIGHUP'));
});

test('while SIGHUP is listened to, the other signals still stop', () => {
  const { proc, env } = fakeProcess();
  env.onSignal('SIGHUP', () => {});
  proc.emit('SIGTERM');
  expect(env.signal.aborted).toBe(true);
});

describe('B6 signals', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)('%s stops a command', (name) => {
    const { proc, env } = fakeProcess();
    proc.emit(name);
    expect(env.signal.reason).toEqual(new Signalled(name));
    expect(signalStatus(env.signal.reason, env)).toBe(128 + constants.signals[name]);
  });

  test('while a child has the terminal, SIGINT is its own and the others still stop', () => {
    const { proc, env } = fakeProcess();
    {
      using _held = env.holdSignals();
      proc.emit('SIGINT');
      expect(env.signal.aborted).toBe(false);
      proc.emit('SIGHUP');
      expect(env.signal.reason).toEqual(new Signalled('SIGHUP'));
    }
    const other = fakeProcess();
    other.env.holdSignals()[Symbol.dispose]();
    other.proc.emit('SIGINT');
    expect(other.env.signal.aborted).toBe(true);
  });

  test('a second signal ends the process, unless it came with the first or is SIGHUP', () => {
    jest.useFakeTimers();
    try {
      const { proc, env } = fakeProcess();
      proc.emit('SIGTERM');
      proc.emit('SIGHUP');
      proc.emit('SIGTERM');
      expect([env.signal.aborted, proc.killed]).toEqual([true, []]);
      jest.advanceTimersByTime(1000);
      proc.emit('SIGHUP');
      expect(proc.killed).toEqual([]);
      proc.emit('SIGINT');
      expect(proc.killed).toEqual(['SIGINT']);
    } finally {
      jest.useRealTimers();
    }
  });
});

test('a user signal is heard while it is listened to, and stops nothing', () => {
  const { proc, env } = fakeProcess();
  let calls = 0;
  const held = env.onSignal('SIGUSR1', () => {
    calls += 1;
  });
  proc.emit('SIGUSR1');
  held[Symbol.dispose]();
  proc.emit('SIGUSR1');
  expect([calls, env.signal.aborted]).toEqual([1, false]);
});
