/** The queue alone; against a real server it is in `test/db/session.test.ts`. */
import { describe, expect, test } from '@jest/globals';
import { encodeBackend } from '../../src/pg/encode.js';
import type { BackendMessage } from '../../src/pg/messages.js';
import { answersTo, type Outcome, Outcomes, type Run } from '../../src/pg/outcomes.js';
import { createScanner, type Scanner } from '../../src/pg/scan.js';

function setup() {
  const found: (Outcome & { ref: number; run: Run<number> | undefined })[] = [];
  let now = 0;
  const outcomes = new Outcomes<number>(
    (ref, outcome, run) => found.push({ ref, run, ...outcome }),
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
    say: () =>
      found.map(({ ref, run, how, rows }) => `${ref}${run ? `-${run.last}(${run.count})` : ''} ${how} ${rows}`),
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
  expect(say()).toEqual(['1-2(2) unknown 0', '4 done 0']);
});

test('an error without its end, or without anything, is one too', () => {
  const { outcomes, answer, found } = setup();
  outcomes.sent('Q', 1);
  answer({ type: 'ErrorResponse', fields: [['M', 'x'.repeat(10_000)]] }, READY);
  outcomes.sent('Q', 2);
  answer({ type: 'ErrorResponse', fields: [] }, READY);
  expect(found.map(({ how, sqlState, message }) => [how, sqlState, message?.length])).toEqual([
    ['failed', '', 500],
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

describe('H2 of statements in a row that nobody answered there is one outcome', () => {
  const crowd = (kind: 'Q' | 'E') => {
    const all = setup();
    for (let n = 1; n <= 20_000; n++) all.outcomes.sent(kind, n);
    return all;
  };

  test('at the end, but for the one that ran, of which more may be known', () => {
    const { outcomes, answer, say } = crowd('Q');
    answer(ROW);
    answer(error('57P01'));
    outcomes.end();
    expect(say()).toEqual(['1 failed 1', '2-20000(19999) unknown 0']);
  });

  test('behind a failure, up to a Sync; what only prepares is among them', () => {
    const { outcomes, answer, say } = crowd('E');
    outcomes.sent('P', 20_001);
    outcomes.sent('S');
    outcomes.sent('P', 20_002);
    outcomes.sent('E', 20_003);
    answer(error('22012'), READY, { type: 'ParseComplete' }, COMMAND);
    expect(say()).toEqual(['1 failed 0', '2-20001(20000) skipped 0', '20003 done 0']);
  });

  test('where an answer fits only one behind them', () => {
    const { outcomes, answer, say } = crowd('Q');
    outcomes.sent('P', 20_001);
    outcomes.sent('F', 20_002);
    answer({ type: 'FunctionCallResponse', value: null }, READY);
    expect(say()).toEqual(['1-20000(20000) unknown 0', '20002 done 0']);
  });

  test('where nobody can know any more what is whose', () => {
    const { outcomes, say } = crowd('Q');
    outcomes.lose();
    outcomes.sent('Q', 20_001);
    expect(say()).toEqual(['1 unknown 0', '2-20000(19999) unknown 0', '20001 unknown 0']);
  });
});

describe('H5 Syncs in a COPY', () => {
  const COPY_IN: BackendMessage = { type: 'CopyInResponse', format: 0, columnFormats: [] };
  const copied: BackendMessage = { type: 'CommandComplete', commandTag: 'COPY 0' };

  /** A COPY with two Syncs in it, which fails; then whatever the test sends. */
  function failedCopy(kind: 'Q' | 'E', code = '22P02') {
    const all = setup();
    const { outcomes, answer } = all;
    outcomes.sent(kind, 1);
    outcomes.sent('S');
    answer(COPY_IN);
    outcomes.sent('S');
    return { ...all, fail: () => answer(error(code), ...(kind === 'Q' ? [READY] : [])) };
  }

  test.each([0, 1, 2])('that failed: %i of them were answered, and each error is of its own Query', (answered) => {
    const { outcomes, answer, say, fail } = failedCopy('Q');
    outcomes.copied(3);
    outcomes.sent('Q', 2);
    outcomes.sent('Q', 3);
    outcomes.sent('F', 4);
    fail();
    answer(...Array.from({ length: answered }, () => READY), error('42P01'), READY, COMMAND, READY);
    answer({ type: 'FunctionCallResponse', value: null }, READY);
    expect(say()).toEqual(['1 failed 0', '2 failed 0', '3 done 0', '4 done 0']);
  });

  test.each([0, 1, 2])('that failed in the extended protocol: %i of them were answered', (answered) => {
    const { outcomes, answer, say, fail } = failedCopy('E');
    outcomes.copied(3);
    outcomes.sent('S');
    outcomes.sent('D');
    outcomes.sent('E', 2);
    outcomes.sent('S');
    outcomes.sent('Q', 3);
    fail();
    answer(...Array.from({ length: answered + 1 }, () => READY), { type: 'NoData' }, COMMAND, READY);
    answer(error('42P01'), READY);
    expect(say()).toEqual(['1 failed 0', '2 done 0', '3 failed 0']);
  });

  test('that was done are ignored, many of them too', async () => {
    const { outcomes, answer, say } = setup();
    outcomes.sent('Q', 1);
    for (let n = 0; n < 30_000; n++) outcomes.sent('S');
    const room = outcomes.room;
    answer(COPY_IN);
    await room;
    for (let n = 0; n < 30_000; n++) outcomes.sent('S');
    expect(outcomes.room).toBeUndefined();
    outcomes.copied(3);
    outcomes.sent('S');
    outcomes.sent('Q', 2);
    answer(copied, READY, READY, error('42P01'), READY);
    expect(say()).toEqual(['1 done 0', '2 failed 0']);
  });

  test('that failed, where it cannot be told what was skipped: all from there on is unknown', () => {
    const { outcomes, answer, say, fail } = failedCopy('E');
    outcomes.copied(3);
    outcomes.sent('Q', 2);
    outcomes.sent('S');
    fail();
    outcomes.sent('Q', 3);
    answer(READY, COMMAND, READY, READY, COMMAND, READY);
    expect(say()).toEqual(['1 failed 0', '2 unknown 0', '3 unknown 0']);
  });

  test('that failed, and what is sent before a Sync that counts', () => {
    const { outcomes, answer, say, fail } = failedCopy('E');
    fail();
    outcomes.sent('E', 2);
    answer(READY, COMMAND, READY);
    expect(say()).toEqual(['1 failed 0', '2 unknown 0']);
  });

  test('that failed by a message which an older server takes away: what follows is unknown', () => {
    const { outcomes, answer, say, fail } = failedCopy('Q', '08P01');
    outcomes.sent('Q', 2);
    fail();
    outcomes.sent('Q', 3);
    answer(COMMAND, READY);
    expect(say()).toEqual(['1 failed 0', '2 unknown 0', '3 unknown 0']);
  });
});

test('H5 an error before anything was answered is not that of a Sync', () => {
  const { outcomes, answer, say } = setup();
  outcomes.sent('S');
  outcomes.sent('E', 1);
  outcomes.sent('S');
  answer(error('22012'), READY);
  expect(say()).toEqual(['1 failed 0']);
});

describe('M1 what a failure skips does not stand in the queue', () => {
  test('before and after it is known', () => {
    const { outcomes, answer, say, found } = setup();
    outcomes.sent('P');
    for (let n = 1; n <= 15_000; n++) outcomes.sent('E', n);
    answer(error('42601'));
    for (let n = 15_001; n <= 40_000; n++) outcomes.sent('E', n);
    expect(outcomes.room).toBeUndefined();
    const skipped = found.filter(({ how }) => how === 'skipped');
    expect(skipped.reduce((sum, { run }) => sum + (run?.count ?? 1), 0)).toBe(40_000);
    outcomes.sent('S');
    outcomes.sent('Q', 0);
    found.length = 0;
    answer(READY, COMMAND, READY);
    expect(say()).toEqual(['0 done 0']);
  });

  test('and a client that waits for room has it then', async () => {
    const { outcomes, answer } = setup();
    for (let n = 0; n <= 20_000; n++) outcomes.sent('E', n);
    const room = outcomes.room;
    expect(room).toBeDefined();
    answer(error('42601'));
    await room;
  });

  test('nor do ends of COPYs that are none', async () => {
    const { outcomes, answer } = setup();
    outcomes.sent('Q', 0);
    for (let n = 0; n <= 20_000; n++) outcomes.copied(0);
    const room = outcomes.room;
    answer(COMMAND, READY);
    await room;
    expect(outcomes.room).toBeUndefined();
  });
});
