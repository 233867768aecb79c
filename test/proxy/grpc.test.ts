import { create } from '@bufbuild/protobuf';
import { type ConnectRouter, createContextValues, type HandlerContext } from '@connectrpc/connect';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { callerKey } from '../../src/api/caller.js';
import { CertsSchema } from '../../src/api/gen/authservice_pb.js';
import { type RegisterUsingTokenRequest, RegisterUsingTokenRequestSchema } from '../../src/api/gen/types_pb.js';
import { joinRoutes } from '../../src/proxy/grpc.js';

afterEach(() => {
  jest.restoreAllMocks();
});

type Join = (request: RegisterUsingTokenRequest, context: HandlerContext) => Promise<unknown>;

test('R-A-H5 what a stranger sends to join goes on to Auth without fields that nobody knows', async () => {
  const seen: object[] = [];
  let join: Join | undefined;
  const router = {
    service: (_: unknown, { registerUsingToken }: { registerUsingToken: Join }) => {
      join = registerUsingToken;
    },
  };
  joinRoutes({
    join: {
      registerUsingToken: async (request: object) => {
        seen.push(request);
        return create(CertsSchema);
      },
    } as never,
  })(router as unknown as ConnectRouter);
  const request = create(RegisterUsingTokenRequestSchema, { token: 't', hostId: 'h' });
  request.$unknown = [{ no: 2047, wireType: 2, data: new Uint8Array(1) }];
  const values = createContextValues().set(callerKey, { remoteAddr: '192.0.2.1:5' });
  await join!(request, { values } as HandlerContext);
  expect(seen).toMatchObject([{ token: 't', hostId: 'h', remoteAddr: '192.0.2.1' }]);
  expect(seen[0]).not.toHaveProperty('$unknown');
});

describe('R-C-H1 conversations with who joins by an AWS identity', () => {
  type Talk = (requests: AsyncIterable<unknown>, context: HandlerContext) => AsyncIterable<{ challenge: string }>;

  /** Auth asks, and waits for an answer for as long as nobody ends the call. */
  function talker() {
    let open = 0;
    let talk: Talk | undefined;
    const auth = {
      async *registerUsingIAMMethod(_: unknown, { signal }: { signal: AbortSignal }) {
        open++;
        try {
          yield { challenge: 'c' };
          await new Promise((_done, failed) => signal.addEventListener('abort', () => failed(signal.reason)));
        } finally {
          open--;
        }
      },
    };
    joinRoutes({ join: auth as never })({
      service: (_: unknown, { registerUsingIAMMethod }: { registerUsingIAMMethod: Talk }) => {
        talk = registerUsingIAMMethod;
      },
    } as unknown as ConnectRouter);
    const silent: AsyncIterable<unknown> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    const begin = (address: string, signal = new AbortController().signal) => {
      const values = createContextValues().set(callerKey, { remoteAddr: `${address}:5` });
      return talk!(silent, { values, signal } as unknown as HandlerContext)[Symbol.asyncIterator]();
    };
    return { begin, open: () => open };
  }

  test('an address begins as many as it may try to join, and the next one costs Auth nothing', async () => {
    const { begin, open } = talker();
    const leave = new AbortController();
    // Time gives back what was tried.
    jest.spyOn(performance, 'now').mockReturnValue(performance.now());
    for (let n = 0; n < 40; n++) await begin('192.0.2.1', leave.signal).next();
    expect(() => begin('192.0.2.1', leave.signal)).toThrow(/rate limit exceeded/);
    expect(open()).toBe(40);
    await begin('198.51.100.1', leave.signal).next();
    leave.abort();
  });

  test('many addresses have few places together: the oldest goes, and its call with it', async () => {
    const { begin, open } = talker();
    const leave = new AbortController();
    const talks = Array.from({ length: 64 }, (_, n) => begin(`10.${n}.0.1`, leave.signal));
    for (const one of talks) await one.next();
    const first = talks[0]!.next();
    const ended = expect(first).rejects.toMatchObject({ code: 'LimitExceeded' });
    await begin('10.200.0.1', leave.signal).next();
    await ended;
    expect(open()).toBe(64);
    leave.abort();
  });
});
