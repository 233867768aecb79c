/**
 * The errors of the AWS SDK as ours, with the next step to take. Nobody else reads the SDK's names.
 *
 * Source: "Common errors" of each service's API reference; the SDK's own names for what fails before AWS is reached.
 */
import { type ErrorCode, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { certificateProblem } from '../net/socket-errors.js';
import { clockProblem, skewOf } from './clock.js';

/** Where the SDK looked, for the error that says it found nothing. */
const TRIED =
  'Looked at: environment variables (AWS_ACCESS_KEY_ID), shared files (~/.aws/credentials, ~/.aws/config, AWS_PROFILE), SSO, web identity, container and instance metadata. For an SSO profile run: aws sso login';
const STALE =
  'AWS does not know the credentials, they have expired, or the clock of this machine is wrong. Renew them (for SSO: aws sso login) and look at: aws sts get-caller-identity';
const BUSY = 'AWS limits how often it may be asked. Wait a little and try again.';
const NETWORK = 'AWS was not reached. Check the region, the network and HTTPS_PROXY, then try again.';
const UNTRUSTED =
  'Something on the way to AWS answers with a certificate of its own. If that is a proxy that you trust, name its authority: AWS_CA_BUNDLE=/path/ca.pem';

/** Error names of AWS services by what they mean to us. */
const NAMES: readonly (readonly [RegExp, ErrorCode, string?])[] = [
  [/^(AccessDenied|UnauthorizedOperation|NotAuthorized|OptInRequired)/, 'AccessDenied'],
  [
    /^(ExpiredToken|RequestExpired|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|AuthFailure|MissingAuthenticationToken)/,
    'AccessDenied',
    STALE,
  ],
  [/NotFound(Fault|Exception)?$|^NoSuchEntity/, 'NotFound'],
  [/^(Throttl|TooManyRequests|RequestLimitExceeded|SlowDown)/, 'LimitExceeded', BUSY],
  [/AlreadyExists/, 'AlreadyExists'],
  [/^LimitExceeded|QuotaExceeded/, 'LimitExceeded'],
  [/^(Validation|InvalidParameter|InvalidInput|Malformed)/, 'BadParameter'],
];

/** Any failure of an SDK call as ours; AWS's own name and text are kept. Errors that are ours already pass. */
export function fromAws(error: unknown): TeleportError {
  if (error instanceof TeleportError) return isUnreached(error) ? unreached(error.message, error) : error;
  const name = error instanceof Error ? error.name : '';
  const text = messageOf(error);
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return new TeleportError('AccessDenied', `NoCredentialProviders: no valid providers in chain: ${text}`, {
      cause: error,
      hint: TRIED,
    });
  }
  const said = name && name !== 'Error' ? `${name}: ${text}` : text;
  const found = NAMES.find(([pattern]) => pattern.test(name));
  if (found) {
    // An answer has AWS's own time on it: a wrong clock need not be guessed.
    const hint = found[2] === STALE ? (clockProblem(skewOf(error, Date.now())) ?? STALE) : found[2];
    return new TeleportError(found[1], said, { cause: error, hint });
  }
  const answered = nodeCodeOf(error) === undefined && httpStatusOf(error) !== undefined;
  return answered ? new TeleportError('ConnectionProblem', said, { cause: error }) : unreached(said, error);
}

/** From our own dialler, which knows nothing of AWS. */
function isUnreached(error: TeleportError): boolean {
  return error.code === 'ConnectionProblem' && error.hint === undefined;
}

function unreached(said: string, cause: unknown): TeleportError {
  const hint = certificateProblem(cause) === 'unknown-authority' ? UNTRUSTED : NETWORK;
  return new TeleportError('ConnectionProblem', said, { cause, hint });
}

function httpStatusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}
