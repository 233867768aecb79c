/** Invitations and password resets: the JSON calls (login-and-profile.md 4.2), and the pages behind the links. */
import type { AuthClient } from '../../api/client.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { PASSWORD_BYTES } from '../../resources/password-rule.js';
import { json, type WebAnswer } from './answer.js';
import { Html } from './html.js';
import type { WebRequest } from './request.js';
import {
  deadLinkPage,
  donePage,
  type Field,
  formPage,
  type InviteLink,
  type Mistakes,
  welcomePage,
} from './signup-pages.js';

type Gateway = Pick<AuthClient['proxyGateway'], 'getUserToken' | 'changeUserPassword'>;

const DEAD = 'bad or expired token';
/** Side of the PNG. */
const QR_PIXELS = 456;

/** `GET /webapi/users/password/token/{token}`: makes a new secret at each call; only the last one counts. */
export async function passwordToken(gateway: Gateway, request: WebRequest): Promise<WebAnswer> {
  const { token, user, otpauthUrl } = await userToken(gateway, request, DEAD);
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

/** `GET /web/invite/{token}` and `/web/reset/{token}`: changes nothing, since programs fetch links out of messages. */
export async function showLink(gateway: Gateway, request: WebRequest, clusterName: string): Promise<WebAnswer> {
  const link = await lookAt(gateway, request);
  if (link === undefined) return deadLinkPage(clusterName, request.host);
  return link.secondFactor === 'off' ? formPage(link, clusterName, undefined) : welcomePage(link, clusterName);
}

/**
 * `POST` of the same: without a password a new secret and the form, with one the end of it. After a mistake the form comes
 * back with the secret that it had, which the person has in an app by then and which Auth still holds.
 */
export async function useLink(gateway: Gateway, request: WebRequest, clusterName: string): Promise<WebAnswer> {
  const sent = await request.form();
  const link = await lookAt(gateway, request);
  if (link === undefined) return deadLinkPage(clusterName, request.host);
  const known = sent.get('otpauth') ?? '';
  const opened = OTPAUTH.test(known) ? { otpauthUrl: known } : await open(gateway, request);
  if (opened === undefined) return deadLinkPage(clusterName, request.host);
  const { otpauthUrl } = opened;
  const enrolment = link.secondFactor === 'off' ? undefined : { otpauthUrl, qr: await qrSvg(otpauthUrl) };
  if (!sent.has('password')) return formPage(link, clusterName, enrolment);
  const password = sent.get('password') ?? '';
  // Apps show `123 456`.
  const totpCode = link.secondFactor === 'off' ? '' : (sent.get('code') ?? '').replace(/\s/g, '');
  const mistakes = mistakesIn(link, { password, again: sent.get('again') ?? '', code: totpCode });
  if (Object.keys(mistakes).length > 0) return formPage(link, clusterName, enrolment, mistakes);
  try {
    await gateway.changeUserPassword({
      token: request.params.token ?? '',
      password: Buffer.from(password),
      totpCode,
      remoteAddr: request.address,
    });
  } catch (error) {
    // Without an enrolment the page has no place for a code.
    if (enrolment && isTeleportError(error, 'AccessDenied'))
      return formPage(link, clusterName, enrolment, { code: WRONG_CODE });
    if (isTeleportError(error, 'NotFound')) return deadLinkPage(clusterName, request.host);
    throw error;
  }
  return donePage(link, clusterName, request.host);
}

/** What a form may give back to be shown again: an address that Auth could have made, and nothing else that opens. */
const OTPAUTH = /^otpauth:\/\/totp\/[^\s"<>]{1,300}[?&]secret=[A-Z2-7]{32}$/;
const WRONG_CODE =
  'This code does not fit. Wait until the app shows the next one, and type that. If the app has an older entry for this account, remove it and scan the picture on this page.';

function mistakesIn({ secondFactor }: InviteLink, { password, again, code }: Record<Field, string>): Mistakes {
  const length = Buffer.byteLength(password);
  const { least, most } = PASSWORD_BYTES;
  const mistakes: Mistakes = {};
  if (length === 0) mistakes.password = 'Choose a password and type it here.';
  else if (length < least) mistakes.password = `This password is too short. Use at least ${least} characters.`;
  else if (length > most) mistakes.password = `This password is too long. Use at most ${most} characters.`;
  else if (again === '') mistakes.again = 'Type the same password here.';
  else if (again !== password) mistakes.again = 'The two passwords are not the same. Type this one again.';
  if (secondFactor === 'off' || (code === '' && secondFactor === 'optional')) return mistakes;
  if (code === '') mistakes.code = 'Type the 6 digits that the app shows.';
  else if (!/^\d{6}$/.test(code)) mistakes.code = 'A code has 6 digits. Type the one that the app shows now.';
  return mistakes;
}

/** Whose link it is; undefined for one that no longer works, or never did. */
const lookAt = (gateway: Gateway, { params }: WebRequest): Promise<InviteLink | undefined> =>
  unlessDead(gateway.getUserToken({ token: params.token ?? '', lookOnly: true }));

/** The same, with a new secret. It may have ended since somebody looked at it. */
const open = (gateway: Gateway, { params }: WebRequest) =>
  unlessDead(gateway.getUserToken({ token: params.token ?? '' }));

async function unlessDead<T>(link: Promise<T>): Promise<T | undefined> {
  try {
    return await link;
  } catch (error) {
    if (isTeleportError(error, 'AccessDenied') || isTeleportError(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function userToken(gateway: Gateway, { params }: WebRequest, refusal: string) {
  try {
    return await gateway.getUserToken({ token: params.token ?? '' });
  } catch (error) {
    if (isTeleportError(error, 'ConnectionProblem') || isTeleportError(error, 'LimitExceeded')) throw error;
    throw new TeleportError('AccessDenied', refusal, { cause: error });
  }
}

async function qrSvg(text: string): Promise<Html> {
  return new Html(await (await qrcode()).toString(text, { type: 'svg', margin: 4 }));
}

async function qrPng(text: string): Promise<Buffer> {
  return await (await qrcode()).toBuffer(text, { type: 'png', width: QR_PIXELS });
}

/** A CommonJS package: only its `default` is there both in Node and in our bundle. */
async function qrcode(): Promise<typeof import('qrcode')> {
  const loaded = (await import('qrcode')) as unknown as { default: typeof import('qrcode') };
  return loaded.default;
}
