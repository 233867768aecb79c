/** The instance metadata service (IMDSv2) of the double: a token by PUT, then the role's keys and where we run. */
import { randomBytes } from 'node:crypto';
import type { Reply } from './reply.js';
import { addKey, type World } from './world.js';

const ROLE_SECONDS = 6 * 3600;
const INSTANCE = 'i-0123456789abcdef0';

/** Answers paths under `/latest/`; tokens live in the set that the caller keeps. */
export function answerMetadata(
  world: World,
  tokens: Set<string>,
  request: { method: string; path: string; headers: Record<string, string | string[] | undefined> },
): Reply {
  const say = (status: number, body = ''): Reply => ({ status, headers: { 'content-type': 'text/plain' }, body });
  if (request.path === '/latest/api/token') {
    const seconds = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
    if (request.method !== 'PUT' || !(seconds >= 1 && seconds <= 21_600)) return say(400);
    const token = randomBytes(40).toString('base64');
    tokens.add(token);
    const reply = say(200, token);
    reply.headers['x-aws-ec2-metadata-token-ttl-seconds'] = String(seconds);
    return reply;
  }
  if (!tokens.has(String(request.headers['x-aws-ec2-metadata-token']))) return say(401);
  const path = request.path.replace(/\/$/, '');
  if (path === '/latest/dynamic/instance-identity/document') {
    const document = { accountId: world.accountId, region: world.region, instanceId: INSTANCE, version: '2017-09-30' };
    return say(200, JSON.stringify(document));
  }
  if (path === '/latest/meta-data/placement/region') return say(200, world.region);
  if (path === '/latest/meta-data/instance-id') return say(200, INSTANCE);
  const credentials = '/latest/meta-data/iam/security-credentials';
  const role = [...world.principals.values()].find((one) => one.kind === 'role' && one.name === world.instanceProfile);
  if (!role || !path.startsWith(credentials)) return say(404);
  if (path === credentials) return say(200, role.name);
  if (path !== `${credentials}/${role.name}`) return say(404);
  const key = addKey(world, role, { name: INSTANCE, seconds: ROLE_SECONDS });
  const body = {
    Code: 'Success',
    Type: 'AWS-HMAC',
    LastUpdated: new Date(world.now()).toISOString(),
    AccessKeyId: key.accessKeyId,
    SecretAccessKey: key.secretAccessKey,
    Token: key.sessionToken,
    Expiration: new Date(key.expiresAtMs).toISOString(),
  };
  return say(200, JSON.stringify(body));
}
