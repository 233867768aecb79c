/** The queue alone; against a real server it is in `test/db/session.test.ts`. */
import { expect, test } from '@jest/globals';
import { encodeBackend } from '../../src/pg/encode.js';
import type { BackendMessage } from '../../src/pg/messages.js';
import { answersTo, type Outcome, Outcomes } from '../../src/pg/outcomes.js';
import { createScanner, type Scanner } from '../../src/pg/scan.js';

function setup() {
  const found: (Outcome & { ref: number })[] = [];
  let now = 0;
  const outcomes = new Outcomes<number>(
    (ref, outcome) => found.push({ ref, ...outcome }),
    () => now,
  );
  const scanner: Scanner = createScanner({
    side: 'backend',
    wanted: outcomes.wanted,
    onMessage: answersTo(outcomes, () => scanner),
    refuseUnknown: false,
  });
  return {
    outcomes,
    found,
    say: () => found.map(({ ref, how, rows }) => `${ref} ${how} ${rows}`),
    wait: (ms: number) => (now += ms),
    answer: (...messages: BackendMessage[]) => scanner.push(Buffer.concat(messages.map(encodeBackend))),
  };
}

const READY: BackendMessage = { type: 'ReadyForQuery', txStatus: 'I' };
const COMMAND: BackendMessage = { type: 'CommandComplete', commandTag: 'SELECT 1' };
const ROW: BackendMessage = { type: 'DataRow', values: [Buffer.from('x')] };
const error = (code: string): BackendMessage => ({
  type: 'ErrorResponse',
  fields: [
    ['S', 'ERROR'],
    ['C', code],
    ['M', `of ${code}`],
  ],
});

test('the time is that from the message to its end', () => {
  const { outcomes, answer, wait, found } = setup();
  outcomes.sent('Q', 1);
  wait(5);
  answer(ROW, COMMAND);
  wait(2);
  answer(READY);
  expect(found).toEqual([expect.objectContaining({ ref: 1, durationMs: 7, rows: 1, bytes: 7, affected: 1 })]);
});

test('what comes unasked moves nothing', () => {
  const { outcomes, answer, say } = setup();
  const parameter: BackendMessage = { type: 'ParameterStatus', name: 'TimeZone', value: 'UTC' };
  const notice: BackendMessage = { type: 'NotificationResponse', pid: 1, channel: 'c', payload: '' };
  answer(parameter, notice, COMMAND, READY, error('57P01'));
  outcomes.sent('Q', 1);
  answer(parameter, ROW, notice, COMMAND, READY);
  expect(say()).toEqual(['1 done 1']);
});

test('an answer that does not fit moves on to where it does', () => {
  const { outcomes, answer, say } = setup();
  outcomes.sent('S');
  outcomes.sent('E', 1);
  outcomes.copied(5);
  outcomes.sent('Q', 2);
  answer({ type: 'ParseComplete' }, { type: 'BindComplete' });
  outcomes.sent('P', 3);
  outcomes.sent('E', 4);
  answer({ type: 'ParseComplete' }, COMMAND);
  expect(say()).toEqual(['1 unknown 0', '2 unknown 0', '4 done 0']);
});

test('an error without its end, or without anything, is one too', () => {
  const { outcomes, answer, found } = setup();
  outcomes.sent('Q', 1);
  answer({ type: 'ErrorResponse', fields: [['M', 'x'.repeat(10_000)]] }, READY);
  outcomes.sent('Q', 2);
  answer({ type: 'ErrorResponse', fields: [] }, READY);
  expect(found.map(({ how, sqlState, message }) => [how, sqlState, message?.length])).toEqual([
    ['failed', '', 4095],
    ['failed', '', 0],
  ]);
});

test('a client with 20,000 messages that are not answered waits until fewer are', async () => {
  const { outcomes, answer } = setup();
  for (let n = 0; n < 20_000; n++) outcomes.sent('Q', n);
  expect(outcomes.room).toBeUndefined();
  outcomes.sent('Q', 20_000);
  const room = outcomes.room;
  answer(COMMAND, READY);
  await room;
  expect(outcomes.room).toBeUndefined();
});

test('the end says of all that is left that it is unknown, and of what failed that it did', () => {
  const { outcomes, answer, say } = setup();
  outcomes.sent('Q', 1);
  outcomes.sent('P', 2);
  outcomes.sent('E', 3);
  outcomes.sent('S');
  answer(ROW, error('57P01'));
  outcomes.end();
  expect(say()).toEqual(['1 failed 1', '3 unknown 0']);
});
