/**
 * Whose AWS identity a proof shows (`identity-proof.ts`). The request comes from a stranger, so nothing of it is believed but
 * what is compared here: it is AWS's STS that it goes to, by HTTPS, it asks for the caller's identity and nothing else, and our
 * challenge is under the signature. Then it is sent, made anew from its signed headers, and AWS says who signed it.
 *
 * `AWS_ENDPOINT_URL_STS` and `AWS_ENDPOINT_URL` change the address that is dialled (a VPC endpoint), and nothing that is compared.
 *
 * Source: lib/join/iamjoin of Teleport 18.3.0; AWS Signature Version 4; the STS API reference.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import { inSeconds, messageOf, TeleportError } from '../errors.js';
import { wholeBody } from '../net/whole-body.js';
import { parseArn } from './arn.js';
import { clientConfig } from './clients.js';
import { CHALLENGE_HEADER, IDENTITY_REQUEST } from './identity-proof.js';
import { dnsSuffixOf, isRegion, knownPartitionOf, type Partition, splitAwsHost } from './partitions.js';
import { profileSettings } from './profile.js';

export interface ProvenIdentity {
  accountId: string;
  /** `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or of a user. */
  arn: string;
}

/** Of a proof: a session token alone may have 4 KiB. */
const MOST_PROOF_BYTES = 12 * 1024;
const MOST_ANSWER_BYTES = 64 * 1024;
/** Less than the time that a stranger has for a request. */
const ANSWER_MS = 8_000;

/** Headers that a signature may cover; one that is not signed is left out. */
const SIGNABLE =
  /^(?:host|accept|content-type|content-length|user-agent|amz-sdk-[a-z-]+|x-amz-[a-z0-9-]+|x-teleport-challenge)$/;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[\w+=,.@-]+\/\d{8}\/[a-z0-9-]+\/sts\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$/;

/**
 * @param proof  an HTTP/1.1 request
 * @throws TeleportError `AccessDenied` for what is not a proof, and where AWS refuses it; `ConnectionProblem` where AWS cannot be asked
 */
export async function provenIdentity(proof: Buffer, challenge: string): Promise<ProvenIdentity> {
  const headers = signedHeaders(proof, challenge);
  const identity = identityIn(await ask(headers));
  const { partition } = parseArn(identity.arn) ?? {};
  if (partition === partitionOfSts(headers.host!)) return identity;
  throw refused(`${headers.host} vouches for an identity of another partition`);
}

/**
 * Partitions whose names the DNS and the authorities of everybody vouch for; of the isolated ones somebody else could hold the
 * domain out here.
 */
const OPEN: ReadonlySet<Partition | undefined> = new Set(['aws', 'aws-cn', 'aws-us-gov', 'aws-eusc']);

/** The partition of `sts.amazonaws.com`, or of STS of one region; undefined for every other host. */
export function partitionOfSts(host: string): Partition | undefined {
  if (host === 'sts.amazonaws.com') return 'aws';
  const { labels } = splitAwsHost(host) ?? { labels: [] };
  const [service = '', region = ''] = labels;
  if (labels.length !== 2 || !/^sts(-fips)?$/.test(service) || !isRegion(region)) return undefined;
  const partition = knownPartitionOf(region);
  return OPEN.has(partition) && host === `${service}.${region}.${dnsSuffixOf(region)}` ? partition : undefined;
}

/** The headers to send. @throws TeleportError */
function signedHeaders(proof: Buffer, challenge: string): Record<string, string> {
  if (proof.length > MOST_PROOF_BYTES) throw refused('it is too long');
  const text = proof.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const [start, ...lines] = text.slice(0, Math.max(0, end)).split('\r\n');
  if (start !== 'POST / HTTP/1.1') throw refused('it is not a POST to / of HTTP/1.1');
  if (text.slice(end + 4) !== IDENTITY_REQUEST) throw refused('it asks for something other than GetCallerIdentity');
  const all = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([A-Za-z0-9-]+): ?([\x20-\x7e]*)$/.exec(line) ?? [];
    if (name === '') throw refused('it has a line that is not a header');
    if (all.has(name.toLowerCase())) throw refused(`it has the header ${name} twice`);
    all.set(name.toLowerCase(), value.trim());
  }
  const host = all.get('host') ?? '';
  if (partitionOfSts(host) === undefined)
    throw refused(`${JSON.stringify(host.slice(0, 100))} is not a host of AWS's STS`);
  if (all.get(CHALLENGE_HEADER) !== challenge) throw refused('it does not answer the challenge');
  const authorization = all.get('authorization') ?? '';
  const signed = AUTHORIZATION.exec(authorization)?.[1]?.split(';') ?? [];
  for (const name of ['host', 'x-amz-date', CHALLENGE_HEADER]) {
    if (!signed.includes(name)) throw refused(`its signature does not cover ${name}`);
  }
  const other = signed.find((name) => !SIGNABLE.test(name) || !all.has(name));
  if (other !== undefined) throw refused(`its signature covers the header ${other.slice(0, 50)}`);
  return {
    accept: 'application/json',
    ...Object.fromEntries(signed.map((name) => [name, all.get(name)!])),
    authorization,
    'content-length': String(IDENTITY_REQUEST.length),
    ...(all.has('content-type') ? { 'content-type': all.get('content-type')! } : {}),
  };
}

async function ask(headers: Record<string, string>): Promise<string> {
  const { host = '' } = headers;
  const signal = AbortSignal.timeout(ANSWER_MS);
  let asked = host;
  try {
    const url = await stsUrl(host);
    asked = url.host;
    const { requestHandler } = await clientConfig({ region: '' });
    using agent = closing(requestHandler.httpsAgent);
    const isTls = url.protocol === 'https:';
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const { hostname, port } = url;
      const to = { method: 'POST', path: '/', hostname, headers, signal, ...(port ? { port } : {}) };
      const request = isTls ? httpsRequest({ ...to, servername: hostname, agent }) : httpRequest(to);
      request.once('response', resolve).once('error', reject).end(IDENTITY_REQUEST);
    });
    const body = await wholeBody(answer, MOST_ANSWER_BYTES, 'the answer of AWS');
    if (answer.statusCode === 200) return body;
    throw new TeleportError('AccessDenied', `AWS refuses the identity (status ${answer.statusCode}): ${faultIn(body)}`);
  } catch (error) {
    if (error instanceof TeleportError) throw error;
    const why = signal.aborted ? `no answer within ${inSeconds(ANSWER_MS)}` : messageOf(error);
    throw new TeleportError('ConnectionProblem', `cannot ask AWS (${asked}) whose identity it is: ${why}`, {
      hint: 'Auth has to reach this host; for a VPC endpoint set AWS_ENDPOINT_URL_STS.',
    });
  }
}

/** Where to ask. @throws BadParameter for a setting that is not `http(s)://host[:port]` */
async function stsUrl(host: string): Promise<URL> {
  const { stsEndpoint } = await profileSettings();
  if (stsEndpoint.url === '') return new URL(`https://${host}`);
  const url = URL.canParse(stsEndpoint.url) ? new URL(stsEndpoint.url) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url;
  throw new TeleportError(
    'BadParameter',
    `${stsEndpoint.from}: ${JSON.stringify(stsEndpoint.url)} is not the address of STS`,
    { hint: 'Write it as https://vpce-0123-abc.sts.us-east-1.vpce.amazonaws.com, with a port where it needs one.' },
  );
}

/** For one call. */
const closing = (agent: Agent) => Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });

function identityIn(body: string): ProvenIdentity {
  try {
    const { GetCallerIdentityResponse: answer } = JSON.parse(body) as {
      GetCallerIdentityResponse?: { GetCallerIdentityResult?: { Account?: unknown; Arn?: unknown } };
    };
    const { Account, Arn } = answer?.GetCallerIdentityResult ?? {};
    if (typeof Account === 'string' && Account !== '' && typeof Arn === 'string' && Arn !== '') {
      return { accountId: Account, arn: Arn };
    }
  } catch {
    // It is not JSON.
  }
  throw new TeleportError('Protocol', 'the answer of AWS does not say whose identity it is');
}

/** AWS's code and words, of JSON or XML. */
function faultIn(body: string): string {
  const word = (name: string) =>
    new RegExp(`"${name}":"([^"]{1,200})"|<${name}>([^<]{1,200})<`).exec(body)?.slice(1).find(Boolean);
  return [word('Code'), word('Message')].filter(Boolean).join(': ') || 'no reason';
}

const refused = (why: string) =>
  new TeleportError('AccessDenied', `the signed request that shows an AWS identity cannot be used: ${why}`);
