/**
 * Checks AWS Signature Version 4 of a request, pure: the canonical request is built again from what arrived, signed with
 * the secret key of the named access key, and compared. The algorithm is in AWS's "Create a signed API request".
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { AwsFault } from './reply.js';

export interface SignedRequest {
  method: string;
  /** Path with query, as received. */
  target: string;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Scope {
  accessKeyId: string;
  date: string;
  region: string;
  service: string;
  signedHeaders: string[];
  signature: string;
}

/** How long a signature is good, to both sides of the service's clock. */
export const SIGNATURE_LIFE_MS = 15 * 60_000;

/** The credential scope of the Authorization header. */
export function readScope(authorization: string | undefined): Scope {
  if (!authorization) throw new AwsFault('MissingAuthenticationToken', 'Request is missing Authentication Token');
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request,\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (!match) throw new AwsFault('IncompleteSignature', 'Authorization header does not name what it must');
  const [, accessKeyId, date, region, service, signedHeaders, signature] = match as unknown as string[];
  return {
    accessKeyId: accessKeyId!,
    date: date!,
    region: region!,
    service: service!,
    signedHeaders: signedHeaders!.split(';'),
    signature: signature!,
  };
}

/** Throws `SignatureDoesNotMatch` unless the request is signed with the secret key and fresh. */
export function checkSignature(request: SignedRequest, scope: Scope, secretAccessKey: string, nowMs: number): void {
  const bad = (why: string) => new AwsFault('SignatureDoesNotMatch', why);
  const stamp = header(request, 'x-amz-date');
  const signedAt = /^\d{8}T\d{6}Z$/.test(stamp) ? parseStamp(stamp) : Number.NaN;
  if (Number.isNaN(signedAt)) throw new AwsFault('IncompleteSignature', 'Date must be in ISO-8601 basic format');
  if (!stamp.startsWith(scope.date))
    throw bad('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP');
  if (!scope.signedHeaders.includes('host')) throw bad("'Host' must be a 'SignedHeader' in the AWS Authorization.");
  if (signedAt < nowMs - SIGNATURE_LIFE_MS) {
    throw bad(
      `Signature expired: ${stamp} is now earlier than ${toStamp(nowMs - SIGNATURE_LIFE_MS)} (${toStamp(nowMs)} - 15 min.)`,
    );
  }
  if (signedAt > nowMs + SIGNATURE_LIFE_MS) {
    throw bad(
      `Signature not yet current: ${stamp} is still later than ${toStamp(nowMs + SIGNATURE_LIFE_MS)} (${toStamp(nowMs)} + 15 min.)`,
    );
  }
  const bodyHash = sha256(request.body);
  const claimed = header(request, 'x-amz-content-sha256');
  if (claimed !== '' && claimed !== bodyHash)
    throw bad('The provided x-amz-content-sha256 header does not match what was computed.');

  const [path = '/', query = ''] = request.target.split('?', 2);
  const canonical = [
    request.method,
    path.split('/').map(encodeURIComponentStrict).join('/'),
    query === ''
      ? ''
      : query
          .split('&')
          .map((part) => (part.includes('=') ? part : `${part}=`))
          .sort()
          .join('&'),
    ...scope.signedHeaders.map((name) => `${name}:${header(request, name).trim().replace(/ +/g, ' ')}`),
    '',
    scope.signedHeaders.join(';'),
    bodyHash,
  ].join('\n');
  const where = `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, where, sha256(canonical)].join('\n');
  const key = [scope.date, scope.region, scope.service, 'aws4_request'].reduce<Buffer>(
    (secret, part) => hmac(secret, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  const expected = hmac(key, text);
  if (!timingSafeEqual(expected, Buffer.from(scope.signature, 'hex'))) {
    throw bad(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  }
}

function header(request: SignedRequest, name: string): string {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

function encodeURIComponentStrict(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');
const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

function parseStamp(stamp: string): number {
  return Date.parse(stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function toStamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}
