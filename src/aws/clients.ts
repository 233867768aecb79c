/**
 * The door to the AWS SDK: clients with the default credential chain, roles assumed on the way, and the SDK's errors
 * turned into ours. Everything of the SDK is imported when it is first used.
 *
 * Source: database-service.md 4.3; AWS SDK for JavaScript v3.
 */
import { messageOf, TeleportError } from '../errors.js';

/** One step of a chain of roles. */
export interface AssumeRole {
  roleArn: string;
  externalId?: string | undefined;
  /** Name of the session; default `teleshift-<milliseconds>`. */
  sessionName?: string | undefined;
  tags?: Record<string, string> | undefined;
}

export interface ClientOptions {
  region: string;
  /** Roles to assume one after the other, at most two. */
  chain?: readonly AssumeRole[] | undefined;
  /** Profile of the shared files. */
  profile?: string | undefined;
}

/** Teleport's own limit: the database's role, then the user's. */
const MAX_CHAIN = 2;
const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 20_000;
/** Tries of one call; a throttled one is tried again with back-off, a denied one is not. */
const MAX_ATTEMPTS = 4;

/** @throws BadParameter `role chain contains more than 2 roles` */
export async function clientConfig({ region, chain = [], profile }: ClientOptions) {
  if (chain.length > MAX_CHAIN)
    throw new TeleportError('BadParameter', `role chain contains more than ${MAX_CHAIN} roles`);
  // The SDK announces the end of Node 20 on standard error at every start.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const providers = await import('@aws-sdk/credential-providers');
  const settings = {
    region,
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
  };
  let credentials = providers.fromNodeProviderChain({
    ...(profile ? { profile } : {}),
    clientConfig: { region },
  }) as ReturnType<typeof providers.fromNodeProviderChain>;
  for (const { roleArn, externalId, sessionName, tags } of chain) {
    credentials = providers.fromTemporaryCredentials({
      masterCredentials: credentials,
      params: {
        RoleArn: roleArn,
        RoleSessionName: sessionName ?? `teleshift-${Date.now()}`,
        ...(externalId ? { ExternalId: externalId } : {}),
        ...(tags ? { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) } : {}),
      },
      clientConfig: settings,
    }) as typeof credentials;
  }
  return { ...settings, credentials };
}

/** Where the SDK looked, for the error that says it found nothing. */
const TRIED =
  'Looked at: environment variables (AWS_ACCESS_KEY_ID), shared files (~/.aws/credentials, ~/.aws/config, AWS_PROFILE), SSO, web identity, container and instance metadata. For an SSO profile run: aws sso login';

/** Error names of AWS services by what they mean to us. */
const NAMES: readonly (readonly [RegExp, TeleportError['code']])[] = [
  [/^(AccessDenied|AccessDeniedException|UnauthorizedOperation|AuthFailure|OptInRequired)$/, 'AccessDenied'],
  [
    /^(ExpiredToken|ExpiredTokenException|RequestExpired|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidSignatureException)$/,
    'AccessDenied',
  ],
  [/(NotFound|NotFoundFault|ResourceNotFoundException|NoSuchEntity)$/, 'NotFound'],
  [/^(Throttling|ThrottlingException|TooManyRequestsException|RequestLimitExceeded|LimitExceeded.*)$/, 'LimitExceeded'],
  [/^(ValidationError|ValidationException|InvalidParameter.*|MalformedQueryString)$/, 'BadParameter'],
  [/AlreadyExists|^EntityAlreadyExists/, 'AlreadyExists'],
];

/** Any failure of an SDK call as ours; AWS's own text is kept. */
export function fromAws(error: unknown): TeleportError {
  if (error instanceof TeleportError) return error;
  const name = error instanceof Error ? error.name : '';
  const text = messageOf(error);
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return new TeleportError('AccessDenied', `NoCredentialProviders: no valid providers in chain: ${text}`, {
      cause: error,
      hint: TRIED,
    });
  }
  const code = NAMES.find(([pattern]) => pattern.test(name))?.[1];
  if (code) return new TeleportError(code, `${name}: ${text}`, { cause: error });
  return new TeleportError('ConnectionProblem', name && name !== 'Error' ? `${name}: ${text}` : text, { cause: error });
}

/** Run one SDK call. @throws TeleportError */
export async function aws<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromAws(error);
  }
}
