/**
 * The errors of the AWS SDK as ours, with the next step to take. Nobody else reads the SDK's names.
 *
 * Source: "Common errors" of each service's API reference; the SDK's own names for what fails before AWS is reached.
 */
import { certificateProblem } from '../certificate-problem.js';
import { type ErrorCode, inSeconds, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { clockProblem, skewOf } from './clock.js';
import { isRegion, splitAwsHost } from './partitions.js';

/** Where the SDK looked, for the error that says it found nothing. */
const TRIED =
  'Looked at: environment variables (AWS_ACCESS_KEY_ID), shared files (~/.aws/credentials, ~/.aws/config, AWS_PROFILE), SSO, web identity, container and instance metadata.';
const STALE =
  'AWS does not know the credentials, they have expired, or the clock of this machine is wrong. Renew them (for SSO: aws sso login) and look at: aws sts get-caller-identity';
const BUSY = 'AWS limits how often it may be asked. Wait a little and try again.';
const NETWORK = 'AWS was not reached. Check the region, the network and HTTPS_PROXY, then try again.';
const UNTRUSTED =
  'Something on the way to AWS answers with a certificate of its own. If that is a proxy that you trust, name its authority: AWS_CA_BUNDLE=/path/ca.pem';

const REGION_HINT = 'Name one, for example with AWS_REGION=us-east-1, or in the profile of ~/.aws/config.';

/** The SDK's words for an answer that did not come. */
const TOO_LATE = /has exceeded the configured (\d+) ms requestTimeout/;

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
  const name = nameOf(error);
  const text = messageOf(error);
  if (isNoCredentials(name)) return withoutCredentials(error, undefined);
  if (name === 'Error' && text === 'Region is missing') {
    return new TeleportError('BadParameter', 'no AWS region is known', { cause: error, hint: REGION_HINT });
  }
  const late = TOO_LATE.exec(text)?.[1];
  if (late) return unreached(`AWS gave no answer within ${inSeconds(Number(late))}`, error);
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

/** AWS's own code, as the `aws` command shows it: the SDK has names of its own for some (`ClusterNotFoundFault`). */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { Code } = error as { Code?: unknown };
  return typeof Code === 'string' && Code !== '' ? Code : error.name;
}

/**
 * There are no AWS credentials, or those of an SSO session have run out.
 *
 * @param profile  of the shared files that was asked for
 * @returns errors of another kind as `fromAws` gives them
 */
export function withoutCredentials(error: unknown, profile: string | undefined): TeleportError {
  const name = error instanceof Error ? error.name : '';
  if (!isNoCredentials(name)) return fromAws(error);
  const text = messageOf(error);
  if (profile && text.startsWith('Could not resolve credentials using profile')) {
    return new TeleportError('NotFound', `there are no credentials in the AWS profile "${profile}"`, {
      cause: error,
      hint: 'See which profiles there are: aws configure list-profiles',
    });
  }
  const login = `aws sso login${profile ? ` --profile ${profile}` : ''}`;
  return /\bSSO (session|Token)\b/.test(text)
    ? new TeleportError('AccessDenied', text.replace(/ To refresh this SSO session.*$/s, ''), {
        cause: error,
        hint: `Log in again: ${login}`,
      })
    : new TeleportError('AccessDenied', `NoCredentialProviders: no valid providers in chain: ${text}`, {
        cause: error,
        hint: `${TRIED} For an SSO profile run: ${login}`,
      });
}

const isNoCredentials = (name: string) => name === 'CredentialsProviderError' || name === 'TokenProviderError';

/** From our own dialler, which knows nothing of AWS. */
function isUnreached(error: TeleportError): boolean {
  return error.code === 'ConnectionProblem' && error.hint === undefined;
}

function unreached(said: string, cause: unknown): TeleportError {
  const host = /lookup (\S+): no such host|ENOTFOUND (\S+)/.exec(said)?.slice(1).find(Boolean);
  const region = splitAwsHost(host ?? '')?.labels.at(-1);
  if (region && isRegion(region)) {
    return new TeleportError('ConnectionProblem', `AWS region "${region}" is not known here: ${said}`, {
      cause,
      hint: `Check the spelling of the region, and the name service of this machine.`,
    });
  }
  const hint = certificateProblem(cause) === 'unknown-authority' ? UNTRUSTED : NETWORK;
  return new TeleportError('ConnectionProblem', said, { cause, hint });
}

function httpStatusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}
