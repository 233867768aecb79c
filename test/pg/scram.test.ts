/** RFC 7677, section 3: the only published vector of SCRAM-SHA-256. */

import { saslPrep, startScram } from '../../src/pg/scram.js';

const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
const begin = () => startScram('pencil', { user: 'user', nonce: 'rOprNGfwEbeRWgbNEkqO' });

test('the vector of RFC 7677', async () => {
  const scram = begin();
  expect(scram.first.toString()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
  expect((await scram.respond(Buffer.from(SERVER_FIRST))).toString()).toBe(
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  );
  scram.verify(Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='));
});

test('a server that does not know the password is refused', async () => {
  const scram = begin();
  await scram.respond(Buffer.from(SERVER_FIRST));
  const refuse = (text: string) => () => scram.verify(Buffer.from(text));
  expect(refuse('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=')).toThrow();
  expect(refuse(`v=${Buffer.alloc(32).toString('base64')}`)).toThrow(expect.objectContaining({ code: 'AccessDenied' }));
  expect(refuse('e=invalid-proof')).toThrow(expect.objectContaining({ code: 'AccessDenied' }));
});

test.each([
  ['a nonce that is not ours', 'r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
  ['a nonce without the server in it', 'r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
  ['an extension', 'm=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'],
  ['too many iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999'],
  ['no iterations', 'r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0'],
  ['no salt', 'r=rOprNGfwEbeRWgbNEkqOx,i=4096'],
  ['no attributes', 'hello'],
])('a first message with %s ends in Protocol', async (_, text) => {
  await expect(begin().respond(Buffer.from(text))).rejects.toMatchObject({ code: 'Protocol' });
});

test('passwords are prepared as RFC 4013 says', () => {
  expect(saslPrep('I\u00adX')).toBe('IX');
  expect(saslPrep('\u00aa')).toBe('a');
  expect(saslPrep('\u2168')).toBe('IX');
  expect(saslPrep('a\u00a0b')).toBe('a b');
  expect(saslPrep('\u00e9\u0007')).toBe('\u00e9\u0007');
});
