import { MessageRoom } from '../../src/api/message-room.js';

const stays = () => new AbortController().signal;

/** Everything that is ready has happened. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('R-C-M2 memory for messages, by sender', () => {
  test('who has used up his own waits, in the order of coming, and nobody else does', async () => {
    const room = new MessageRoom(10);
    const order: string[] = [];
    const take = async (name: string, sender: string, bytes: number) => {
      const giveBack = await room.take(sender, bytes, stays());
      order.push(name);
      return giveBack;
    };
    const first = await take('a1', 'a', 8);
    const large = take('a2', 'a', 9);
    const small = take('a3', 'a', 1);
    await take('b1', 'b', 10);
    await settled();
    expect(order).toEqual(['a1', 'b1']);
    first();
    await Promise.all([large, small]);
    expect(order).toEqual(['a1', 'b1', 'a2', 'a3']);
  });

  test('who is cut while he waits stands in nobody’s way, nor does a message larger than the room', async () => {
    const room = new MessageRoom(10);
    const first = await room.take('a', 6, stays());
    const cut = new AbortController();
    const large = expect(room.take('a', 1_000, cut.signal)).rejects.toThrow('away');
    const small = room.take('a', 4, stays());
    cut.abort(new Error('away'));
    await large;
    (await small)();
    first();
    const whole = await room.take('a', 1_000, stays());
    whole();
    await room.take('a', 10, stays());
  });

  test('who is cut in the moment in which there is room gives it back', async () => {
    const room = new MessageRoom(10);
    const first = await room.take('a', 10, stays());
    const cut = new AbortController();
    const second = room.take('a', 10, cut.signal).then(
      (giveBack) => giveBack(),
      () => {},
    );
    first();
    cut.abort(new Error('away'));
    await second;
    await room.take('a', 10, stays());
  });
});
