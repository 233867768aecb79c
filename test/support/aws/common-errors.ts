/**
 * The errors that every operation may answer with although its model does not declare them: those that the double gives or
 * a test plans, with where each was looked up.
 *
 * `A`: "Common Errors" of the Amazon Redshift API reference, docs.aws.amazon.com/redshift/latest/APIReference/CommonErrors.html.
 * `B`: "Error handling with DynamoDB", docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html: the
 *      page of AWS that lists what its JSON services answer to a bad signature.
 * `C`: botocore, data/_retry.json.
 * Else an issue on GitHub that quotes an answer of AWS.
 */
export interface CommonError {
  protocol: 'query' | 'json';
  code: string;
  status: number;
  source: string;
}

const query = (code: string, status: number, source: string): CommonError => ({
  protocol: 'query',
  code,
  status,
  source,
});
const json = (code: string, status: number, source: string): CommonError => ({
  protocol: 'json',
  code,
  status,
  source,
});

export const COMMON_ERRORS: readonly CommonError[] = [
  query('AccessDenied', 403, 'Netflix/security_monkey#77'),
  query('ExpiredToken', 403, 'aws/aws-sdk-java-v2#1649'),
  query('IncompleteSignature', 400, 'A'),
  query('InternalFailure', 500, 'A'),
  query('InvalidClientTokenId', 403, 'A'),
  query('InvalidParameterValue', 400, 'A'),
  query('MissingAuthenticationToken', 403, 'A'),
  query('MissingParameter', 400, 'A'),
  query('ServiceUnavailable', 503, 'A'),
  query('SignatureDoesNotMatch', 403, 'aws/aws-cli#6676; the status as of the other refused credentials'),
  query('Throttling', 400, 'C'),
  query('ThrottlingException', 400, 'A'),
  query('ValidationError', 400, 'A'),
  json('AccessDeniedException', 400, 'A'),
  json('ExpiredTokenException', 400, 'salesforce/multicloudj#608'),
  json('IncompleteSignatureException', 400, 'B'),
  json('InternalFailure', 500, 'A'),
  json('InvalidSignatureException', 400, 'aws/aws-sdk-js#254'),
  json('MissingAuthenticationTokenException', 400, 'B'),
  json('ThrottlingException', 400, 'A'),
  json('UnrecognizedClientException', 400, 'B'),
];
