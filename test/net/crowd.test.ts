/**
 * X6: classes of connections, and that one class does not shut out another.
 * Tests: src/net/descriptors.ts, src/net/lately-seen.ts, src/net/rate-limit.ts, src/net/strangers.ts
 */
import { EventEmitter } from 'node:events';
import { jest } from '@jest/globals';
import { silent } from '../../src/log.js';
import { addressOfCluster, Crowd, type CrowdOptions, type Guest } from '../../src/net/crowd.js';
import { descriptorLimit } from '../../src/net/descriptors.js';
import { LatelySeen } from '../../src/net/lately-seen.js';
import { createLimiter } from '../../src/net/rate-limit.js';

class FakeConnection extends EventEmitter {
  destroyed = false;
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

const open: FakeConnection[] = [];

function arrive(crowd: Crowd, address: string): { connection: FakeConnection; guest: Guest } {
  const connection = new FakeConnection();
  const guest = crowd.arrive(connection, address);
  if (guest === undefined) throw new Error('no room');
  open.push(connection);
  return { connection, guest };
}

const crowdOf = (options: Partial<CrowdOptions> = {}) => new Crowd({ log: silent, descriptors: 400, ...options });

beforeEach(() => jest.useFakeTimers());
afterEach(() => {
  for (const connection of open.splice(0)) connection.destroy();
  jest.useRealTimers();
});

describe('X6 a stranger', () => {
  test('has ten seconds in all', () => {
    const { connection } = arrive(crowdOf(), '192.0.2.1');
    jest.advanceTimersByTime(9_999);
    expect(connection.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(connection.destroyed).toBe(true);
  });

  test('who shows a certificate is none any more', () => {
    const crowd = crowdOf();
    const { connection, guest } = arrive(crowd, '192.0.2.1');
    guest.become({ kind: 'login', name: 'alice' });
    jest.advanceTimersByTime(60_000);
    expect(connection.destroyed).toBe(false);
    expect(crowd.strangers).toBe(0);
  });

  test('whose whole request is here waits for us, and is a stranger again after the answer', () => {
    const { connection, guest } = arrive(crowdOf(), '192.0.2.1');
    jest.advanceTimersByTime(9_000);
    const [first, second] = [guest.busy(), guest.busy()];
    jest.advanceTimersByTime(14_000);
    first();
    first();
    jest.advanceTimersByTime(14_000);
    expect(connection.destroyed).toBe(false);
    second();
    jest.advanceTimersByTime(9_999);
    expect(connection.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(connection.destroyed).toBe(true);
  });

  test('H1 is one again after 30 s, whether the answer came or not', () => {
    const { connection, guest } = arrive(crowdOf(), '192.0.2.1');
    guest.busy();
    jest.advanceTimersByTime(39_999);
    expect(connection.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(connection.destroyed).toBe(true);
  });

  test('makes room for the next one of a full network, who has been there for longest first', () => {
    const crowd = crowdOf();
    // 400 descriptors: 100 strangers, 50 of one network.
    const mine = Array.from({ length: 50 }, (_, at) => arrive(crowd, `2001:db8::${at + 1}`).connection);
    const other = arrive(crowd, '192.0.2.1').connection;
    const next = arrive(crowd, '2001:db8::ffff').connection;
    expect(mine.map(({ destroyed }) => destroyed)).toEqual(mine.map((_, at) => at === 0));
    expect([other.destroyed, next.destroyed]).toEqual([false, false]);
    expect(crowd.strangers).toBe(51);
  });

  test('who is gone already is not counted', () => {
    const crowd = crowdOf();
    const connection = new FakeConnection();
    connection.destroy();
    expect(crowd.arrive(connection, '192.0.2.1')).toBeUndefined();
    expect(crowd.strangers).toBe(0);
  });

  test('A-H1 whose connection was reset before it was accepted has no address, and does not come in', () => {
    const crowd = crowdOf();
    expect(crowd.arrive(new FakeConnection(), '')).toBeUndefined();
    expect(crowd.strangers).toBe(0);
  });

  test('has to go when all are too many, from the network that has most', () => {
    const crowd = crowdOf();
    const few = Array.from({ length: 30 }, () => arrive(crowd, '192.0.2.1').connection);
    const many = Array.from({ length: 45 }, () => arrive(crowd, '192.0.2.2').connection);
    const single = Array.from({ length: 40 }, (_, at) => arrive(crowd, `198.51.100.${at}`).connection);
    expect(crowd.strangers).toBe(100);
    expect(many.filter(({ destroyed }) => destroyed).length).toBe(15);
    expect([...few, ...single].filter(({ destroyed }) => destroyed).length).toBe(0);
  });

  test('is counted where it really comes from', () => {
    const crowd = crowdOf();
    const balanced = Array.from({ length: 90 }, (_, at) => {
      const { connection, guest } = arrive(crowd, '127.0.0.1');
      guest.from(`192.0.2.${at}`);
      return connection;
    });
    expect(balanced.some(({ destroyed }) => destroyed)).toBe(false);
  });

  test('comes at a rate, except from this machine', () => {
    const rates = [{ perMinute: 60, burst: 5 }];
    const crowd = crowdOf({ limits: { rates } });
    const come = (address: string) => arrive(crowd, address).guest.from(address);
    for (let at = 0; at < 5; at++) come('203.0.113.9');
    expect(() => come('203.0.113.9')).toThrow('rate limit exceeded, try again in 1s');
    come('192.0.2.2');
    for (let at = 0; at < 20; at++) come('127.0.0.1');
  });
});

describe('M5 over the rate', () => {
  const rates = [{ perMinute: 60, burst: 5 }];
  const come = (crowd: Crowd, address: string) => {
    const { connection, guest } = arrive(crowd, address);
    guest.from(address);
    return { connection, guest };
  };

  test('who comes from where people or hosts are takes the place of a stranger there', () => {
    const crowd = crowdOf({ limits: { rates } });
    come(crowd, '203.0.113.1').guest.become({ kind: 'login', name: 'alice' });
    const strangers = Array.from({ length: 4 }, () => come(crowd, '203.0.113.1').connection);
    const next = come(crowd, '203.0.113.1');
    next.guest.become({ kind: 'login', name: 'bob' });
    expect([...strangers, next.connection].map(({ destroyed }) => destroyed)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  test('R-C-M4 a cluster is no place where people are, and none of this machine or of a network, whatever it is called', () => {
    const crowd = crowdOf({ limits: { rates } });
    for (const cluster of ['127.0.0.1', 'localhost', '203.0.113.3']) {
      for (let at = 0; at < 5; at++) {
        come(crowd, addressOfCluster(cluster)).guest.become({ kind: 'login', name: `u${at}`, cluster });
      }
      expect(() => come(crowd, addressOfCluster(cluster))).toThrow('rate limit exceeded');
    }
    for (let at = 0; at < 5; at++) come(crowd, '203.0.113.3');
  });

  test('a day later it is refused as anywhere else', () => {
    const crowd = crowdOf({ limits: { rates } });
    const { connection, guest } = come(crowd, '203.0.113.2');
    guest.become({ kind: 'host', name: 'agent' });
    connection.destroy();
    const crowded = () => {
      for (let at = 0; at < 20; at++) come(crowd, '203.0.113.2').connection.destroy();
    };
    jest.advanceTimersByTime(86_399_000);
    crowded();
    jest.advanceTimersByTime(60_000);
    expect(crowded).toThrow('rate limit exceeded');
  });
});

test('names that were seen lately are so many, and forgotten in the order in which they were seen', () => {
  const seen = new LatelySeen({ ms: 1_000, most: 2, nowMs: () => 0 });
  for (const name of ['a', 'b', 'a', 'c']) seen.add(name);
  expect(['a', 'b', 'c'].filter((name) => seen.has(name))).toEqual(['a', 'c']);
});

describe('H2 a connection that is passed on unread', () => {
  const forward = (crowd: Crowd, address: string) => {
    const { connection, guest } = arrive(crowd, address);
    guest.become({ kind: 'forwarded' });
    return connection;
  };

  test('is a stranger until Auth would have cut it off', () => {
    const crowd = crowdOf();
    const connection = forward(crowd, '192.0.2.1');
    jest.advanceTimersByTime(19_999);
    expect(crowd.strangers).toBe(1);
    jest.advanceTimersByTime(1);
    expect(crowd.strangers).toBe(0);
    expect(connection.destroyed).toBe(false);
  });

  test('makes room like any other stranger, in its network and in all', () => {
    const crowd = crowdOf();
    const mine = Array.from({ length: 51 }, () => forward(crowd, '192.0.2.1'));
    expect(mine.filter(({ destroyed }) => destroyed).length).toBe(1);
    for (let at = 0; at < 60; at++) forward(crowd, `198.51.100.${at}`);
    expect(crowd.strangers).toBe(100);
    expect(mine.filter(({ destroyed }) => destroyed).length).toBe(11);
  });

  test('stays a stranger while there are too many of them, and leaves people their share', () => {
    const crowd = crowdOf();
    for (let at = 0; at < 90; at++) forward(crowd, `198.51.100.${at}`);
    jest.advanceTimersByTime(20_000);
    // An eighth of 400.
    expect(crowd.strangers).toBe(40);
    for (let at = 0; at < 70; at++) arrive(crowd, '192.0.2.1').guest.become({ kind: 'login', name: `user ${at}` });
  });
});

test.each([400, 1024, 4096])('H3 strangers at both ports keep nobody out of %d descriptors', (descriptors) => {
  const ports = [crowdOf({ descriptors }), crowdOf({ descriptors })];
  for (let at = 0; at < descriptors; at++) for (const crowd of ports) arrive(crowd, `192.0.2.${at & 1}`);
  expect(ports[0]!.strangers).toBeLessThanOrEqual(descriptors / 4);
  const count = Math.floor(descriptors * 0.4 - 32);
  for (let at = 0; at < count; at++) arrive(ports[0]!, '192.0.2.9').guest.become({ kind: 'login', name: `user ${at}` });
  for (let at = 0; at < descriptors / 10; at++)
    arrive(ports[1]!, '192.0.2.10').guest.become({ kind: 'host', name: `agent ${at}` });
  arrive(ports[1]!, '127.0.0.1').guest.become({ kind: 'local' });
});

test('M4 somebody with 48 bits of IPv6 pushes out himself', () => {
  const crowd = crowdOf();
  const office = Array.from({ length: 20 }, () => arrive(crowd, '192.0.2.1').connection);
  const agents = Array.from({ length: 10 }, (_, at) => arrive(crowd, `2001:db8:2:${at}::1`).connection);
  for (let at = 0; at < 300; at++) arrive(crowd, `2001:db8:1:${at.toString(16)}::1`);
  expect([...office, ...agents].filter(({ destroyed }) => destroyed).length).toBe(0);
  expect(crowd.strangers).toBe(100);
});

describe('A-H6 a crowd whose requests wait for an answer', () => {
  const wait = (crowd: Crowd, address: string) => {
    const { connection, guest } = arrive(crowd, address);
    guest.busy();
    return connection;
  };
  const alive = (connections: FakeConnection[]) => connections.filter(({ destroyed }) => !destroyed).length;

  test('with 48 bits of IPv6 pushes out itself, and nobody who is in the middle of a handshake', () => {
    const crowd = crowdOf();
    const waiting = Array.from({ length: 300 }, (_, at) => wait(crowd, `2001:db8:1:${at.toString(16)}::1`));
    const office = Array.from({ length: 20 }, () => arrive(crowd, '192.0.2.1').connection);
    const agents = Array.from({ length: 10 }, (_, at) => arrive(crowd, `2001:db8:2:${at}::1`).connection);
    const people = Array.from({ length: 40 }, (_, at) => arrive(crowd, `198.51.100.${at}`).connection);
    expect([office, agents, people].map(alive)).toEqual([20, 10, 40]);
    expect([alive(waiting), crowd.strangers]).toEqual([30, 100]);
  });

  test('of single addresses makes room, who has waited for longest first', () => {
    const crowd = crowdOf();
    const waiting = Array.from({ length: 100 }, (_, at) => wait(crowd, `203.0.113.${at}`));
    const people = Array.from({ length: 40 }, (_, at) => arrive(crowd, `198.51.100.${at}`).connection);
    expect(alive(people)).toBe(40);
    expect(waiting.map(({ destroyed }) => destroyed)).toEqual(waiting.map((_, at) => at < 40));
  });

  test('has half of a network at most, and keeps that', () => {
    const crowd = crowdOf();
    const waiting = Array.from({ length: 60 }, () => wait(crowd, '192.0.2.1'));
    expect(alive(waiting)).toBe(50);
    const people = Array.from({ length: 25 }, () => arrive(crowd, '192.0.2.1').connection);
    expect([alive(waiting), alive(people)]).toEqual([25, 25]);
    for (let at = 0; at < 100; at++) arrive(crowd, '192.0.2.1');
    expect([alive(waiting), crowd.strangers]).toEqual([25, 50]);
  });
});

describe('X6 a login', () => {
  test('has so many connections at a time, and others have theirs', () => {
    const crowd = crowdOf({ limits: { maxConnections: 3 } });
    const come = (name: string) => {
      const { connection, guest } = arrive(crowd, '192.0.2.1');
      guest.become({ kind: 'login', name });
      return connection;
    };
    const [first] = [come('alice'), come('alice'), come('alice')];
    expect(() => come('alice')).toThrow('too many connections of user "alice": 3 are open');
    come('bob');
    first!.destroy();
    come('alice');
  });
});

test('X6 people leave room for hosts, and hosts for the local administrator', () => {
  const crowd = crowdOf();
  const fill = (kind: 'login' | 'host') => {
    for (let count = 0; ; count++) {
      const { connection, guest } = arrive(crowd, `198.51.${count >> 8}.${count & 255}`);
      try {
        guest.become({ kind, name: `${kind} ${count}` });
      } catch {
        connection.destroy();
        return count;
      }
    }
  };
  expect(fill('login')).toBeGreaterThan(100);
  expect(fill('host')).toBeGreaterThan(20);
  for (let at = 0; at < 20; at++) arrive(crowd, '127.0.0.1').guest.become({ kind: 'local' });
  // Nothing is left, and whoever comes next pushes a stranger out.
  for (let at = 0; at < 12; at++) arrive(crowd, '192.0.2.9');
  const strangers = crowd.strangers;
  expect(strangers).toBeGreaterThan(0);
  arrive(crowd, '192.0.2.9').guest.become({ kind: 'local' });
  expect(crowd.strangers).toBe(strangers - 1);
});

describe('A-M5 one login or one host does not fill the room of all', () => {
  /** How many get in, of one or of as many as there are. */
  const fill = (crowd: Crowd, kind: 'login' | 'host', nameOf: (at: number) => string, cluster?: string) => {
    for (let count = 0; ; count++) {
      const { connection, guest } = arrive(crowd, `198.51.${count >> 8}.${count & 255}`);
      try {
        guest.become({ kind, name: nameOf(count), cluster });
      } catch {
        connection.destroy();
        return count;
      }
    }
  };

  test('a login has a quarter of the room for people, or what the configuration says', () => {
    const crowd = crowdOf({ descriptors: 1_024 });
    expect(fill(crowd, 'login', () => 'alice')).toBe(94);
    expect(fill(crowd, 'login', (at) => `user ${at}`)).toBe(378 - 94);
    for (const connection of open.splice(0)) connection.destroy();
    const raised = crowdOf({ descriptors: 1_024, limits: { maxConnections: 200 } });
    expect(fill(raised, 'login', () => 'alice')).toBe(200);
  });

  test('and 1,000 where there is room for more', () => {
    const crowd = crowdOf({ descriptors: 65_536 });
    expect(fill(crowd, 'login', () => 'alice')).toBe(1_000);
  });

  test('R-A-M2 all hosts of another cluster together have an eighth of the room for hosts, its users half of that for people', () => {
    const crowd = crowdOf({ descriptors: 1_024 });
    const cluster = 'leaf.example.com';
    expect(fill(crowd, 'host', (at) => `h${at % 7}.${cluster}`, cluster)).toBe(47);
    expect(fill(crowd, 'login', (at) => `remote-u${at}-${cluster}`, cluster)).toBe(188);
    expect(() => arrive(crowd, '192.0.2.1').guest.become({ kind: 'host', name: 'h9', cluster })).toThrow(
      'too many connections of hosts of cluster "leaf.example.com": 47 are open',
    );
    // A place that was not had is given back whole.
    expect(fill(crowd, 'host', () => 'h9')).toBe(188);
    for (const connection of open.splice(0)) connection.destroy();
    expect(fill(crowd, 'host', (at) => `h${at % 7}.${cluster}`, cluster)).toBe(47);
  });

  test('a host has half of the room for hosts, and all hosts leave room for people', () => {
    const crowd = crowdOf({ descriptors: 4_096 });
    expect(fill(crowd, 'host', () => 'agent')).toBe(803);
    arrive(crowd, '192.0.2.1').guest.become({ kind: 'login', name: 'alice' });
    arrive(crowd, '192.0.2.2').guest.become({ kind: 'host', name: 'another' });
    fill(crowd, 'host', (at) => `agent ${at}`);
    expect(fill(crowd, 'login', (at) => `user ${at}`)).toBeGreaterThan(400);
  });
});

test('the limit of the system is known', () => {
  expect(descriptorLimit()).toBeGreaterThanOrEqual(256);
});

test('one owner of many IPv6 addresses has one bucket', () => {
  const take = createLimiter({ perMinute: 1, burst: 1 }, () => 0);
  take('2001:db8:0:1::1');
  expect(() => take('2001:db8:0:1::2')).toThrow('rate limit exceeded');
  take('2001:db8:0:2::1');
  take('::ffff:192.0.2.1');
  expect(() => take('192.0.2.1')).toThrow('rate limit exceeded');
});
