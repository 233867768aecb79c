/**
 * One signed call: which service and operation, who calls, may they, and the answer in the service's own protocol. The
 * request and the answer are held against the service's model.
 */
import { randomUUID } from 'node:crypto';
import { iamActions } from './iam.js';
import { type Broken, MODELS, type Model, statusOf } from './model.js';
import { checkReply, checkRequest } from './model-check.js';
import { redshiftActions } from './redshift.js';
import { AwsFault, inJson, jsonFault, jsonReply, queryFault, queryReply, type Reply, type XmlValue } from './reply.js';
import { serverlessActions } from './serverless.js';
import { checkSignature, readScope, type SignedRequest } from './sigv4.js';
import { stsActions } from './sts.js';
import type { Caller, World } from './world.js';

export interface AwsCall {
  /** `service:Action`, such as `redshift:GetClusterCredentials`; metadata requests are `imds:PATH`. */
  action: string;
  /** ARN of the caller, when it is known. */
  caller: string | undefined;
  region: string;
  /** Form fields or JSON members. */
  params: Record<string, unknown>;
  status: number;
  /** AWS's error code, when refused. */
  code: string | undefined;
}

/** What is kept of the calls, and what the tests have planned. */
export interface Notes {
  calls: AwsCall[];
  /** What does not fit the models. */
  faults: string[];
  planned(action: string): AwsFault | undefined;
}

type Service = keyof typeof MODELS;
const SERVICES = Object.keys(MODELS) as Service[];
const QUERY_ACTIONS = { sts: stsActions, iam: iamActions, redshift: redshiftActions };

/** @throws Error when there is no such service */
export function modelOf(service: string): Model {
  const model = MODELS[service as Service];
  if (!model) throw new Error(`there is no model of ${service}, only of ${SERVICES.join(', ')}`);
  return model;
}

interface Asked {
  service: Service | undefined;
  name: string;
  /** As it arrived. */
  params: Record<string, unknown>;
  /** Without what names the operation. */
  input: Record<string, unknown>;
}

export function answer(world: World, request: SignedRequest, notes: Notes): Reply {
  const { service, name, params, input } = readCall(request);
  const call: AwsCall = {
    action: `${service ?? 'unknown'}:${name}`,
    caller: undefined,
    region: world.region,
    params,
    status: 501,
    code: undefined,
  };
  notes.calls.push(call);
  const fault = (what: string) => notes.faults.push(`${call.action} ${JSON.stringify(params)}: ${what}`);
  if (!service || !MODELS[service].operations[name]) {
    fault('it is not served here');
    return { status: 501, headers: { 'content-type': 'text/plain' }, body: 'Not Implemented' };
  }
  const model: Model = MODELS[service];
  const say = inProtocolOf(model, name);
  let reply: Reply;
  try {
    const planned = notes.planned(call.action);
    if (planned) throw planned;
    const { misfits, broken } = checkRequest(model, name, request, input);
    misfits.forEach(fault);
    const unsigned = model.operations[name]!.authtype === 'none';
    const { caller, region } = unsigned
      ? { caller: undefined as unknown as Caller, region: world.region }
      : authenticate(world, request, model);
    call.caller = caller?.arn;
    call.region = region;
    if (broken.length > 0) throw refusedByModel(service, broken);
    const where = { world, caller, region };
    const result =
      service === 'redshift-serverless'
        ? serverlessActions[name]!({ ...where, input })
        : QUERY_ACTIONS[service][name]!({ ...where, params: input as Record<string, string> });
    reply = say.result(result);
  } catch (error) {
    if (!(error instanceof AwsFault)) fault(error instanceof Error ? String(error.stack) : String(error));
    const said = error instanceof AwsFault ? error : new AwsFault('InternalFailure', String(error));
    call.code = (model.metadata.protocol === 'json' ? JSON_CODES[said.code] : undefined) ?? said.code;
    reply = say.refusal(call.code, said.message);
  }
  call.status = reply.status;
  for (const one of checkReply(model, name, reply)) fault(`${one}\n  in ${reply.body}`);
  return service === 'sts' && request.headers.accept === 'application/json' ? inJson(reply) : reply;
}

/** The JSON services are named by a header, the others by the version of their API. */
function readCall({ headers, body }: SignedRequest): Asked {
  const text = body.toString('utf8');
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const [prefix, name = ''] = target.split('.');
    const service = SERVICES.find((one) => MODELS[one].metadata.targetPrefix === prefix);
    const params = JSON.parse(text || '{}') as Record<string, unknown>;
    return { service, name, params, input: params };
  }
  const params: Record<string, string> = Object.fromEntries(new URLSearchParams(text));
  const { Action, Version, ...input } = params;
  const isAsked = ({ protocol, apiVersion }: Model['metadata']) => protocol === 'query' && apiVersion === Version;
  return { service: SERVICES.find((one) => isAsked(MODELS[one].metadata)), name: String(Action), params, input };
}

function inProtocolOf(model: Model, name: string) {
  const { protocol, xmlNamespace: namespace = '' } = model.metadata;
  const requestId = randomUUID();
  // A code that is not AWS's gets a status all the same; the check of the answer names it.
  const status = (code: string) => statusOf(model, name, code) ?? 400;
  if (protocol === 'json') {
    return {
      result: (result: unknown) => jsonReply(result, requestId),
      refusal: (code: string, message: string) => jsonFault({ code, message, status: status(code) }, requestId),
    };
  }
  return {
    result: (result: unknown) => queryReply(namespace, name, result as XmlValue, requestId),
    refusal: (code: string, message: string) =>
      queryFault(namespace, { code, message, status: status(code) }, requestId),
  };
}

/** A service's words for a request that breaks the rules of its model. */
function refusedByModel(service: Service, broken: readonly Broken[]): AwsFault {
  const isMissing = broken.some(({ kind }) => kind === 'missing');
  const code = service !== 'redshift' ? 'ValidationError' : isMissing ? 'MissingParameter' : 'InvalidParameterValue';
  const count = broken.length === 1 ? '1 validation error' : `${broken.length} validation errors`;
  return new AwsFault(code, `${count} detected: ${broken.map(({ text }) => text).join('; ')}`);
}

/** What the JSON services call the errors that all services have. */
const JSON_CODES: Record<string, string> = {
  AccessDenied: 'AccessDeniedException',
  ExpiredToken: 'ExpiredTokenException',
  IncompleteSignature: 'IncompleteSignatureException',
  InvalidClientTokenId: 'UnrecognizedClientException',
  InvalidParameterValue: 'ValidationException',
  MissingAuthenticationToken: 'MissingAuthenticationTokenException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  ValidationError: 'ValidationException',
};

function authenticate(world: World, request: SignedRequest, model: Model): { caller: Caller; region: string } {
  const scope = readScope(request.headers.authorization as string | undefined);
  const key = world.keys.get(scope.accessKeyId);
  const unknown = new AwsFault('InvalidClientTokenId', 'The security token included in the request is invalid.');
  if (!key) throw unknown;
  checkSignature(request, scope, key.secretAccessKey, world.now());
  const service = model.metadata.endpointPrefix;
  if (scope.service !== service) {
    throw new AwsFault('SignatureDoesNotMatch', `Credential should be scoped to correct service: '${service}'. `);
  }
  if (key.sessionToken !== (request.headers['x-amz-security-token'] as string | undefined)) throw unknown;
  if (key.expiresAtMs <= world.now()) {
    throw new AwsFault('ExpiredToken', 'The security token included in the request is expired');
  }
  return { caller: key.caller, region: scope.region };
}
