import { waitingFor } from '../../src/cli/progress.js';
import { acknowledge, askLine, askSecret, confirm } from '../../src/cli/prompt.js';
import { memoryEnv } from '../support/env.js';

const terminal = () => memoryEnv({ tty: { stdin: true, stderr: true } });

test('a secret is asked on standard error with a colon and a newline, in raw mode, and editing keys work', async () => {
  const env = terminal();
  const answer = askSecret(env, 'Enter password for Teleport user alice');
  expect(env.rawMode).toBe(true);
  env.type('wrong\u0015pasx\u007fs\u001b[Dwörd\r');
  expect(await answer).toBe('passwörd');
  expect(env.rawMode).toBe(false);
  expect(env.err()).toBe('Enter password for Teleport user alice:\n');
  expect(env.out()).toBe('');
});

test('what is pasted beyond the line answers the next question', async () => {
  const env = terminal();
  env.type('secret\n123456\n');
  expect(await askSecret(env, 'Password')).toBe('secret');
  expect(await askSecret(env, 'Code')).toBe('123456');
});

test('Ctrl-C leaves the question and restores the terminal', async () => {
  const env = terminal();
  const answer = askSecret(env, 'Password');
  env.type('abc\u0003');
  await expect(answer).rejects.toMatchObject({ name: 'AbortError', signalName: 'SIGINT' });
  expect(env.rawMode).toBe(false);
});

test('a signal during the question leaves it too', async () => {
  const env = terminal();
  const answer = askSecret(env, 'Password');
  env.interrupt('SIGTERM');
  await expect(answer).rejects.toMatchObject({ signalName: 'SIGTERM' });
  expect(env.rawMode).toBe(false);
});

test('B6 Ctrl-\\ leaves the question as SIGQUIT, which a terminal in raw mode does not send', async () => {
  const env = terminal();
  const asked = askSecret(env, 'Password');
  env.type('abc\u001c');
  await expect(asked).rejects.toMatchObject({ signalName: 'SIGQUIT' });
});

test('without a terminal a secret is refused in the words of the caller', async () => {
  const asked = askSecret(memoryEnv({ input: 'x\n' }), 'Password', {
    withoutTerminal: 'cannot perform password login without a terminal',
  });
  await expect(asked).rejects.toMatchObject({
    message: 'cannot perform password login without a terminal',
    cause: { message: 'underlying reader is not a terminal' },
  });
});

test('yes or no reads a pipe, takes anything but yes for no, and says when the input is over', async () => {
  const env = memoryEnv({ input: 'YES\nmaybe\n' });
  expect(await confirm(env, 'Overwrite?')).toBe(true);
  expect(await confirm(env, 'Overwrite?')).toBe(false);
  expect(env.err()).toBe('Overwrite? [y/N]: Overwrite? [y/N]: ');
  await expect(askLine(env, 'More: ')).rejects.toMatchObject({
    message: 'failed reading prompt response',
    cause: { message: 'EOF' },
  });
});

test('a long wait is named on a terminal and wiped; in a pipe nothing is shown', async () => {
  const env = terminal();
  const shown = env.untilErr('Waiting for the proxy ...');
  await waitingFor(env, 'the proxy', shown, { patienceMs: 1 });
  expect(env.err()).toBe('Waiting for the proxy ...\r\u001b[K');
  const pipe = memoryEnv();
  await waitingFor(pipe, 'the proxy', Promise.resolve(), { patienceMs: 0 });
  expect(pipe.err()).toBe('');
});

test('what must be read waits for Enter on a terminal, and nowhere else', async () => {
  const env = terminal();
  let isRead = false;
  const reading = acknowledge(env).then(() => {
    isRead = true;
  });
  env.type('whatever');
  expect([isRead, env.rawMode]).toEqual([false, true]);
  env.type('\r');
  await reading;
  expect(env.err()).toBe('Press [ENTER] to continue.\n');
  const pipe = memoryEnv({ input: '' });
  await acknowledge(pipe);
  expect(pipe.err()).toBe('');
});
