import { parseProxy, proxyHostOf } from '../../src/profile/typed-proxy.js';

test.each([
  ['proxy.example.com', { host: 'proxy.example.com' }],
  ['https://proxy.example.com/', { host: 'proxy.example.com' }],
  [' 10.0.0.7 ', { host: '10.0.0.7' }],
  ['https://proxy.example.com:443/', { host: 'proxy.example.com', port: 443 }],
  ['p:443,3023', { host: 'p', port: 443, sshPort: 3023 }],
  ['[::1]:3080', { host: '::1', port: 3080 }],
])('--proxy=%s', (typed, expected) => {
  expect(parseProxy(typed)).toEqual(expected);
  expect(proxyHostOf(typed)).toBe(expected.host);
});

test.each([
  '',
  'p:0',
  'p:x',
  'p:70000',
  'a b',
  'p:1,x',
  'user@p',
  'p/x',
  'a[b',
  'a%zz',
  '443',
  ':443',
  '0x10',
  '10.1',
  '1.2.3.4.5',
  '*:443',
  'https://',
  '/',
])('--proxy=%j is refused', (typed) => {
  expect(() => parseProxy(typed)).toThrow('invalid proxy address');
  expect(() => proxyHostOf(typed)).toThrow('invalid proxy address');
});
