import { addressList, canonicalIp, ipBytes, ipOf, ipOfBytes, isLoopback, isSameIp } from '../src/ip.js';

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:0a00:0001', '10.0.0.1'],
  ['0:0:0:0:0:ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:0DB8::0001', '2001:db8::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['::', '::'],
  ['fe80::1%eth0', 'fe80::1'],
  ['example.com', undefined],
  ['10.1', undefined],
  ['', undefined],
  ['[::1]', undefined],
])('H1 %s is %s', (text, expected) => {
  expect(canonicalIp(text)).toBe(expected);
});

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['10.0.0.1:5432', '10.0.0.1'],
  ['[::1]:5432', '::1'],
  ['::1', '::1'],
  ['[2001:DB8:0::1]:1', '2001:db8::1'],
  ['[::ffff:10.0.0.1]:1', '10.0.0.1'],
  ['localhost:1', undefined],
])('H1 the address in %s is %s', (addr, expected) => {
  expect(ipOf(addr)).toBe(expected);
});

test('H1 addresses are compared as addresses', () => {
  expect(isSameIp('2001:db8::1', '2001:DB8:0:0:0:0:0:1')).toBe(true);
  expect(isSameIp('::ffff:10.0.0.1', '10.0.0.1')).toBe(true);
  expect(isSameIp('::1', '127.0.0.1')).toBe(false);
  expect(isSameIp('', '')).toBe(false);
});

test.each([
  ['localhost', true],
  ['LOCALHOST', true],
  ['127.0.0.1', true],
  ['127.255.0.9', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['127.example.com', false],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
  ['::', false],
  ['localhost.example.com', false],
])('H1 %s is this machine alone: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test.each([
  ['10.0.0.1', '0a000001'],
  ['::ffff:10.0.0.1', '0a000001'],
  ['::', '00000000000000000000000000000000'],
  ['2001:db8::1:0:5', '20010db8000000000000000100000005'],
  ['1::', '00010000000000000000000000000000'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
])('H1 %s as bytes, and back', (text, hex) => {
  const bytes = ipBytes(text)!;
  expect(bytes.toString('hex')).toBe(hex);
  expect(ipOfBytes(bytes)).toBe(canonicalIp(text));
  expect(ipBytes('example.com')).toBeUndefined();
});

test('networks hold addresses in every spelling', () => {
  const list = addressList(['127.0.0.0/8', '::1']);
  const asked = ['127.9.9.9', '::1', '0::1', '::ffff:127.0.0.1', '10.0.0.1', 'x'];
  expect(asked.map((address) => list.has(address))).toEqual([true, true, true, true, false, false]);
});
