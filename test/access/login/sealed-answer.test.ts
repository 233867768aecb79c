import { randomBytes } from 'node:crypto';
import { openSealed } from '../../../src/access/login/sealed-answer.js';
import { sealed } from '../../support/fake-cluster/sso.js';

const key = randomBytes(32);
const open = (text: string) => openSealed(key, text);

test('what was sealed with the key comes back', () => {
  expect(open(sealed(key.toString('hex'), '{"username":"alice"}'))).toBe('{"username":"alice"}');
  expect(open(sealed(key.toString('hex'), ''))).toBe('');
});

const good = JSON.parse(sealed(key.toString('hex'), 'plain text')) as { ciphertext: string; nonce: string };
const flipped = Buffer.from(good.ciphertext, 'base64');
flipped[0]! ^= 1;

test.each([
  ['another key', sealed(randomBytes(32).toString('hex'), 'x'), 'message authentication failed'],
  ['a bit turned', JSON.stringify({ ...good, ciphertext: flipped.toString('base64') }), 'authentication failed'],
  ['cut short', JSON.stringify({ ...good, ciphertext: good.ciphertext.slice(0, 28) }), 'authentication failed'],
  ['shorter than a tag', JSON.stringify({ ...good, ciphertext: 'AAAA' }), 'not complete'],
  ['a nonce of the wrong length', JSON.stringify({ ...good, nonce: 'AAAA' }), 'not complete'],
  ['no nonce', JSON.stringify({ ciphertext: good.ciphertext }), 'not a sealed answer'],
  ['numbers', '{"ciphertext":1,"nonce":2}', 'not a sealed answer'],
  ['null', 'null', 'not a sealed answer'],
  ['no JSON', 'plain text', 'not a sealed answer'],
  ['nothing', '', 'not a sealed answer'],
])('refused: %s', (_, text, why) => {
  expect(() => open(text)).toThrow(`failed to decrypt response: `);
  expect(() => open(text)).toThrow(why);
});
