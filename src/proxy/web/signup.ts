/** Invitations and password resets: the JSON calls (login-and-profile.md 4.2) and what the sign-up page asks for. */
import type { AuthClient } from '../../api/client.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { json, type WebAnswer } from './answer.js';
import type { WebRequest } from './request.js';

type Gateway = Pick<AuthClient['proxyGateway'], 'getUserToken' | 'changeUserPassword'>;

/** Side of the PNG. */
const QR_PIXELS = 456;

/** `GET /webapi/users/password/token/{token}`: makes a new secret at each call; only the last one counts. */
export async function passwordToken(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const { token, user, otpauthUrl } = await userToken(gateway, request, 'bad or expired token');
  return json({
    tokenId: token,
    user,
    ...(otpauthUrl === '' ? {} : { qrCode: (await qrPng(otpauthUrl)).toString('base64') }),
    expiry: '0001-01-01T00:00:00Z',
  });
}

/** `POST /webapi/mfa/token/{token}/registerchallenge` */
export async function registerChallenge(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const body = await request.body();
  if (body.text('deviceType') !== 'totp') {
    throw new TeleportError('BadParameter', 'this cluster registers one-time codes only (deviceType "totp")');
  }
  const { otpauthUrl } = await userToken(gateway, request, 'invalid token');
  if (otpauthUrl === '') throw new TeleportError('BadParameter', 'second factor TOTP not allowed by cluster');
  return json({ webauthn: null, totp: { qrCode: (await qrPng(otpauthUrl)).toString('base64') } });
}

/** `PUT /webapi/users/password/token` */
export async function changePassword(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const body = await request.body();
  const password = body.bytes('password');
  await gateway.changeUserPassword({
    token: body.text('token'),
    ...(password ? { password } : {}),
    totpCode: body.text('second_factor_token'),
    deviceName: body.text('deviceName'),
    remoteAddr: request.address,
  });
  return json({ recovery: {} });
}

/**
 * `POST /web/invite/{token}` and `/web/reset/{token}`: what the page shows. A POST, because it replaces the secret, and
 * programs that fetch links out of messages must not.
 */
export async function pageToken(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  await request.body();
  const { user, usage, otpauthUrl } = await userToken(gateway, request, 'bad or expired token');
  if (otpauthUrl === '') return json({ user, usage });
  const svg = await (await qrcode()).toString(otpauthUrl, { type: 'svg', margin: 4 });
  const secret = new URL(otpauthUrl).searchParams.get('secret') ?? '';
  return json({ user, usage, qr: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`, secret });
}

async function userToken(gateway: Gateway, { params }: WebRequest, refusal: string) {
  try {
    return await gateway.getUserToken({ token: params.token ?? '' });
  } catch (error) {
    if (isTeleportError(error, 'ConnectionProblem') || isTeleportError(error, 'LimitExceeded')) throw error;
    throw new TeleportError('AccessDenied', refusal, { cause: error });
  }
}

async function qrPng(text: string): Promise<Buffer> {
  return await (await qrcode()).toBuffer(text, { type: 'png', width: QR_PIXELS });
}

/** A CommonJS package: only its `default` is there both in Node and in our bundle. */
async function qrcode(): Promise<typeof import('qrcode')> {
  const loaded = (await import('qrcode')) as unknown as { default: typeof import('qrcode') };
  return loaded.default;
}
