/**
 * A proof of one's AWS identity: a request to `sts:GetCallerIdentity` that is signed and not sent. Whoever asked for the
 * proof sends it, and AWS answers whose it is. The challenge is among the signed headers, so a proof is good for one question.
 *
 * Source: lib/auth/join/iam of Teleport 18.3.0 (header, method, body); AWS Signature Version 4.
 */
import { TeleportError } from '../errors.js';
import { aws, clientConfig } from './clients.js';
import { dnsSuffixOf } from './partitions.js';
import { anyRegion } from './region.js';

/** As signatures name it. */
export const CHALLENGE_HEADER = 'x-teleport-challenge';
/** All that is ever asked. */
export const IDENTITY_REQUEST = 'Action=GetCallerIdentity&Version=2011-06-15';

/**
 * @returns an HTTP/1.1 request, as it would be sent
 * @throws TeleportError without credentials
 */
export async function identityProof(challenge: string): Promise<Buffer> {
  const { STSClient, GetCallerIdentityCommand } = await import('./sdk/sts.js');
  const region = await anyRegion();
  let recorded: Recorded | undefined;
  const client = new STSClient({
    ...(await clientConfig({ region })),
    // Whoever sends it knows AWS's own hosts; an endpoint that this machine is set to use may be none of them.
    endpoint: `https://sts.${region}.${dnsSuffixOf(region)}`,
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    requestHandler: {
      handle: async (request: Recorded) => {
        recorded = request;
        throw new Error('recorded');
      },
    },
    maxAttempts: 1,
  });
  client.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as Recorded).headers, { [CHALLENGE_HEADER]: challenge, accept: 'application/json' });
      return next(args);
    },
    { step: 'build', name: 'challenge' },
  );
  try {
    await aws(() => client.send(new GetCallerIdentityCommand({})));
  } catch (error) {
    if (recorded === undefined) throw error;
  } finally {
    client.destroy();
  }
  if (recorded?.body !== IDENTITY_REQUEST) {
    throw new TeleportError('Protocol', 'the AWS SDK asks for an identity in another way than Auth reads it');
  }
  const lines = Object.entries(recorded.headers).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(['POST / HTTP/1.1', ...lines, '', recorded.body].join('\r\n'));
}

/** What the SDK hands to its HTTP client. */
interface Recorded {
  headers: Record<string, string>;
  body?: unknown;
}
