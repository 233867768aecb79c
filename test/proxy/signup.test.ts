/** Links for people that end or are refused while somebody uses them. Tests: src/proxy/web/signup.ts */
import { expect, test } from '@jest/globals';
import { TeleportError } from '../../src/errors.js';
import type { WebRequest } from '../../src/proxy/web/request.js';
import { useLink } from '../../src/proxy/web/signup.js';

type Gateway = Parameters<typeof useLink>[0];

const GOOD = 'long enough password';
const filled = { password: GOOD, again: GOOD };

function use(fields: Record<string, string>, gateway: object) {
  const form = async () => new URLSearchParams(fields);
  const request = { params: { token: 't' }, host: 'proxy.example.com', address: '127.0.0.1', form };
  return useLink(gateway as Gateway, request as unknown as WebRequest, 'example.com');
}

const link = (secondFactor: string) => ({ token: 't', user: 'alice', usage: 'invite', secondFactor, otpauthUrl: '' });

test.each(['AccessDenied', 'NotFound'] as const)(
  'a link that ends between the look at it and its use is a dead one (%s)',
  async (code) => {
    const getUserToken = async ({ lookOnly = false }) => {
      if (lookOnly) return link('otp');
      throw new TeleportError(code, 'bad or expired token');
    };
    const { status, body } = await use({}, { getUserToken });
    expect(status).toBe(404);
    expect(String(body)).toContain('This link no longer works');
  },
);

test('an Auth Service that fails does not make a link a dead one', async () => {
  const broken = new TeleportError('Protocol', 'something else');
  const getUserToken = async ({ lookOnly = false }) => {
    if (lookOnly) return link('otp');
    throw broken;
  };
  await expect(use({}, { getUserToken })).rejects.toBe(broken);
});

test('what is refused where no code is asked for is no wrong code', async () => {
  const denied = new TeleportError('AccessDenied', 'access denied');
  const changeUserPassword = async () => {
    throw denied;
  };
  await expect(use(filled, { getUserToken: async () => link('off'), changeUserPassword })).rejects.toBe(denied);
  const otpauthUrl = `otpauth://totp/x?secret=${'A'.repeat(32)}`;
  const withCode = { getUserToken: async () => ({ ...link('otp'), otpauthUrl }), changeUserPassword };
  const { status, body } = await use({ ...filled, code: '123456' }, withCode);
  expect(status).toBe(400);
  expect(String(body)).toContain('This code does not fit');
});
