import { EventEmitter } from 'node:events';
import { processEnv, Signalled } from '../../src/cli/env.js';

function fakeProcess() {
  const proc = Object.assign(new EventEmitter(), { env: { HOME: '/home/alice' }, cwd: () => '/', platform: 'linux' });
  return { proc, env: processEnv(proc as unknown as NodeJS.Process) };
}

test('SIGHUP stops a command, but not one that reads its files again', () => {
  const { proc, env } = fakeProcess();
  let calls = 0;
  const held = env.onHangup(() => {
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
  env.onHangup(() => {});
  proc.emit('SIGTERM');
  expect(env.signal.aborted).toBe(true);
});
