import { FairShare, FairShares, originOf, originOfLogin } from '../../src/net/fair-share.js';

describe('R-A-M1 a few places that many want', () => {
  test('go from the oldest of whoever has most of them', () => {
    const share = new FairShare(4);
    const gone: string[] = [];
    const come = (address: string, name = address) => share.take(originOf(address), () => gone.push(name));
    come('192.0.2.1');
    come('198.51.100.1', 'first');
    come('198.51.100.1', 'second');
    const giveBack = come('198.51.100.1', 'third');
    come('203.0.113.1');
    come('203.0.113.1');
    expect(gone).toEqual(['first', 'second']);
    giveBack();
    giveBack();
    come('203.0.113.2');
    expect(gone).toEqual(['first', 'second']);
  });

  test('one login has its own, wherever it is', () => {
    const share = new FairShare(2);
    const gone: string[] = [];
    share.take(originOf('192.0.2.1'), () => gone.push('stranger'));
    for (const at of [1, 2, 3]) share.take(originOfLogin('mallory'), () => gone.push(`mallory ${at}`));
    expect(gone).toEqual(['stranger', 'mallory 1']);
  });

  test('of one name are not those of another', () => {
    const shares = new FairShares(1);
    const gone: string[] = [];
    for (const name of ['one', 'other', 'one']) shares.of(name).take(originOf('192.0.2.1'), () => gone.push(name));
    expect(gone).toEqual(['one']);
  });
});
