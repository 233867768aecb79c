import { describe, expect, test } from '@jest/globals';
import { hostOf, joinHostPort, parseHostPort, portOf, splitHostPort } from '../src/host-port.js';

describe('W5 an address as it is typed', () => {
  const defaults = { host: '127.0.0.1', port: 3000 };
  test.each([
    ['13000', '127.0.0.1', 13000],
    ['0', '127.0.0.1', 0],
    ['65535', '127.0.0.1', 65535],
    [':13000', '127.0.0.1', 13000],
    [' 13000 ', '127.0.0.1', 13000],
    ['localhost', 'localhost', 3000],
    ['localhost:1', 'localhost', 1],
    ['0.0.0.0:13000', '0.0.0.0', 13000],
    ['10.0.0.7', '10.0.0.7', 3000],
    ['13000.example.com', '13000.example.com', 3000],
    ['[::1]:13000', '::1', 13000],
    ['[::1]', '::1', 3000],
    ['::1', '::1', 3000],
    ['::', '::', 3000],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
    ['', '127.0.0.1', 3000],
  ])('%j is %s and %d', (typed, host, port) => {
    expect(parseHostPort(typed, defaults)).toEqual({ host, port });
  });

  test.each([
    '65536',
    '130000',
    ':65536',
    'a:65536',
    'a:',
    'a:b',
    'a:b:c',
    '[::1',
    '[x]:1',
    'a b:1',
    'u@h:1',
    'h:1/x',
    '0x10',
    '10.1:443',
    '13000.5',
    '1.2.3.4.5',
    '*:443',
    'a,b',
    'h:-1',
  ])('%j is none', (typed) => expect(parseHostPort(typed, defaults)).toBeUndefined());

  test('what has no default must be there', () => {
    for (const typed of ['443', ':443', '']) expect(parseHostPort(typed, { port: 443 })).toBeUndefined();
    for (const typed of ['h', '::1', '']) expect(parseHostPort(typed, { host: 'h' })).toBeUndefined();
    expect(parseHostPort('h', { port: 443 })).toEqual({ host: 'h', port: 443 });
    expect(parseHostPort('443', { host: 'h' })).toEqual({ host: 'h', port: 443 });
  });
});

test.each([
  ['p', 'p', undefined],
  ['p:443', 'p', 443],
  ['p:', 'p', 0],
  ['p:x', 'p', 0],
  ['p:70000', 'p', 0],
  [':443', '', 443],
  ['[::1]:443', '::1', 443],
  ['[2001:db8::1]', '2001:db8::1', undefined],
  ['2001:db8::1', '2001:db8::1', undefined],
  ['fe80::1%eth0', 'fe80::1%eth0', undefined],
])('H1 %j has the host %j and the port %j', (address, host, port) => {
  expect([hostOf(address), portOf(address)]).toEqual([host, port]);
  if (port) expect(splitHostPort(joinHostPort(host, port))).toEqual({ host, port: String(port) });
});

test('H1 the last colon divides what cannot be an address, so that no part is lost', () => {
  expect(splitHostPort('user:pa:ss')).toEqual({ host: 'user:pa', port: 'ss' });
  expect(hostOf('tcp://db.example.com:5432')).toBe('db.example.com');
});
